package io.espalier.slim;

import io.espalier.nn.Convolution;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.Parametrization;
import io.espalier.nn.SharedWeights;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;

/** A linear layer or convolution that is given channels that are one number everywhere. */
final class SteadyLayer {
    private final Module layer;
    private final boolean hasNoBorder;
    private final int outputs;
    private final int inputs;
    private final int perGroup;
    private final double[] sums;
    private final boolean[] isZero;
    private final double[] bias;

    private SteadyLayer(
            Module layer, Tensor weight, @Nullable Tensor bias, long groups, boolean hasNoBorder) {
        this.layer = layer;
        this.hasNoBorder = hasNoBorder;
        outputs = Math.toIntExact(weight.size(0));
        inputs = Math.toIntExact(weight.size(1));
        perGroup = Math.toIntExact(outputs / groups);
        double[] values = Tensors.doubles(weight);
        int window = values.length / Math.max(1, outputs * inputs);
        sums = new double[outputs * inputs];
        isZero = new boolean[outputs * inputs];
        Arrays.fill(isZero, true);
        for (int k = 0; k < values.length; k++) {
            sums[k / window] += values[k];
            isZero[k / window] &= values[k] == 0;
        }
        this.bias = bias == null ? new double[outputs] : Tensors.doubles(bias);
    }

    /** The layer; null if it is another one. */
    static @Nullable SteadyLayer of(Module layer) {
        if (!layer.isAtomic()) {
            return null;
        }
        return switch (layer) {
            case Linear linear -> new SteadyLayer(layer, linear.weight(), linear.bias(), 1, true);
            case Convolution convolution when !convolution.isTransposed() ->
                    new SteadyLayer(
                            layer,
                            convolution.weight(),
                            convolution.bias(),
                            convolution.groups(),
                            hasNoBorder(convolution));
            default -> null;
        };
    }

    private static boolean hasNoBorder(Convolution convolution) {
        return convolution.paddingMode() != PaddingMode.ZEROS
                || (Arrays.stream(convolution.paddingBefore()).allMatch(side -> side == 0)
                        && Arrays.stream(convolution.paddingAfter()).allMatch(side -> side == 0));
    }

    /** What its outputs are, given what is known of its inputs. */
    double[] outputs(@Nullable KnownNumbers given) {
        double[] numbers = new double[outputs];
        for (int o = 0; o < outputs; o++) {
            double sum = bias[o];
            for (int i = 0; i < inputs; i++) {
                int channel = o / perGroup * inputs + i;
                int pair = o * inputs + i;
                if (isZero[pair] || (given != null && given.isZero(channel))) {
                    continue;
                }
                boolean same = given != null && given.isKnown(channel) && hasNoBorder;
                sum += same && given != null ? given.numbers()[channel] * sums[pair] : Double.NaN;
            }
            numbers[o] = sum;
        }
        return numbers;
    }

    /** Whether its bias can add what a channel that is one number adds. */
    boolean canFold() {
        return hasNoBorder
                && layer.hasParameter("bias")
                && layer.parametrizations("bias").isEmpty();
    }

    /**
     * Adds to its bias what a channel of this number adds, and multiplies that by zero; leaves both
     * as they are where a weight that is stored as zero changes others.
     */
    void fold(int channel, double number) {
        double[] shift = new double[outputs];
        int group = channel / inputs;
        int input = channel % inputs;
        for (int o = group * perGroup; o < (group + 1) * perGroup; o++) {
            shift[o] = number * sums[o * inputs + input];
        }
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            if (multipliesByZero(group, input)) {
                layer.parameter("bias")
                        .add_(KnownNumbers.tensor(shift, ScalarType.Double, outputs));
            }
        }
    }

    private boolean multipliesByZero(int group, int input) {
        UnaryOperator<Tensor> part =
                whole -> whole.narrow(0, (long) group * perGroup, perGroup).select(1, input);
        List<Tensor> stored = new ArrayList<>();
        stored.add(part.apply(layer.parameter(layer.storedName("weight"))));
        for (Parametrization passed : layer.parametrizations("weight")) {
            if (passed instanceof SharedWeights shared) { // the number 0 is for zeros
                stored.add(part.apply(layer.buffer(shared.bufferName())));
            }
        }
        Tensor wanted = layer.value("weight").detach().clone();
        part.apply(wanted).fill_(new Scalar(0));
        List<Tensor> before = stored.stream().map(Tensor::clone).toList();
        stored.forEach(each -> each.fill_(new Scalar(0)));
        if (Tensors.equal(wanted, layer.value("weight"))) {
            return true;
        }
        for (int i = 0; i < before.size(); i++) {
            stored.get(i).copy_(before.get(i));
        }
        return false;
    }
}
