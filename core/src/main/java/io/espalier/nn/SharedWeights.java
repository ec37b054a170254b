package io.espalier.nn;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.List;

/**
 * Lets the elements of a parameter that its owner's buffer {@code NAME_codes} gives the same number
 * have one value, their mean, whose gradient is the sum of theirs, so that training moves them
 * together (Han et al., <a href="https://arxiv.org/abs/1510.00149">Deep Compression</a>, 2016,
 * section 3.3). The number 0 is for elements that are 0 and stay so.
 *
 * @param name the parameter's public name, such as {@code "weight"}
 */
@Internal
public record SharedWeights(String name) implements Parametrization {
    /** The numbers that a byte can be. */
    private static final int NUMBERS = 256;

    /** The name of the buffer of numbers, of bytes in the parameter's shape. */
    public String bufferName() {
        return name + "_codes";
    }

    @Override
    public int order() {
        return -100;
    }

    @Override
    public List<String> buffers() {
        return List.of(bufferName());
    }

    @Override
    public Tensor apply(Module owner, Tensor value) {
        Tensor codes = owner.buffer(bufferName()).flatten().to(ScalarType.Long);
        Tensor sizes =
                Tensors.zeros(ScalarType.Double, NUMBERS)
                        .index_add(0, codes, Tensors.ones(codes.numel()).to(ScalarType.Double))
                        .clamp_min(new Scalar(1));
        sizes.narrow(0, 0, 1).fill_(new Scalar(Double.POSITIVE_INFINITY));
        // The sum of equal floats as doubles is exact, and so is their mean.
        Tensor sums =
                Tensors.zeros(ScalarType.Double, NUMBERS)
                        .index_add(0, codes, value.detach().flatten().to(ScalarType.Double));
        Tensor shared =
                sums.div(sizes).index_select(0, codes).to(value.scalar_type()).view_as(value);
        return value.requires_grad() && GradMode.is_enabled()
                ? shared.add(moved(value, codes))
                : shared;
    }

    /** Zeros through which each element of a number gets the gradients of all. */
    private static Tensor moved(Tensor value, Tensor codes) {
        Tensor change = value.sub(value.detach()).flatten();
        Tensor some = codes.ne(new Scalar(0)).to(value.scalar_type());
        return Tensors.zeros(Tensors.type(value), NUMBERS)
                .index_add(0, codes, change)
                .index_select(0, codes)
                .mul(some)
                .view_as(value);
    }
}
