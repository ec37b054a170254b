package io.espalier.quant.accuracy;

import io.espalier.nn.Convolution;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Random;

/**
 * What a layer computed at some places of its output, drawn at random, and from what: for a
 * convolution the patches under the kernel, for a Linear layer rows of its input. So a layer of
 * either kind is a matrix product for each group of its channels, and no more than a given number
 * of rows is kept.
 */
final class LayerSamples {
    private final WeightedLayer layer;
    private final Tensor inputs;
    private final Tensor targets;
    private int count;

    /**
     * Without samples yet.
     *
     * @param limit how many there may be
     */
    LayerSamples(WeightedLayer layer, int limit) {
        this.layer = layer;
        long groups = layer.groups();
        long fanIn = layer.weight().numel() / layer.outChannels();
        this.inputs = Tensors.zeros(groups, limit, fanIn);
        this.targets = Tensors.zeros(groups, limit, layer.outChannels() / groups);
    }

    int count() {
        return count;
    }

    /** The inputs [groups, count, fan-in]. */
    Tensor inputs() {
        return inputs.narrow(1, 0, count);
    }

    /** The outputs [groups, count, out/groups], before a ReLU, without the bias. */
    Tensor targets() {
        return targets.narrow(1, 0, count);
    }

    /**
     * Draws samples from one call of the layer.
     *
     * @param original what the layer is called with in the float model
     * @param actual what it is called with where the layers before it are rounded
     * @param most how many to draw; fewer if there is no room, or the output is smaller
     */
    void add(Tensor original, Tensor actual, int most, Random random) {
        var places = OutputPlaces.of(layer.layer(), padded(original));
        int drawn = (int) Math.min(Math.min(most, inputs.size(1) - count), places.count());
        if (drawn > 0) {
            Tensor at = places.draw(drawn, random);
            Tensor weight = layer.weight().reshape(layer.groups(), -1, inputs.size(2));
            targets.narrow(1, count, drawn)
                    .copy_(torch.bmm(rows(original, at), weight.transpose(1, 2)));
            inputs.narrow(1, count, drawn).copy_(rows(actual, at));
            count += drawn;
        }
    }

    /** The elements of an input at flat indices [rows, in · kernel], by group. */
    private Tensor rows(Tensor x, Tensor at) {
        return padded(x)
                .to(ScalarType.Float)
                .take(at)
                .reshape(at.size(0), layer.groups(), -1)
                .transpose(0, 1);
    }

    private Tensor padded(Tensor x) {
        return layer.layer() instanceof Convolution convolution ? convolution.pad(x) : x;
    }
}
