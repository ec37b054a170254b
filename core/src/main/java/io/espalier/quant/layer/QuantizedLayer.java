package io.espalier.quant.layer;

import io.espalier.graph.MemoryUse;
import io.espalier.nn.Module;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.Map;

/**
 * A layer of a converted model: takes and gives libtorch's quantized tensors. Its buffers {@code
 * scale} and {@code zero_point} say how its output is quantized. One that is handed a float tensor
 * quantizes it with the range it observed at its input, where it has one ({@code input_scale},
 * {@code input_zero_point}).
 */
public abstract class QuantizedLayer extends Module implements SavedForm, MemoryUse {
    private static final String SCALE = "scale";
    private static final String ZERO_POINT = "zero_point";
    private static final String INPUT_SCALE = "input_scale";
    private static final String INPUT_ZERO_POINT = "input_zero_point";

    private double scale;
    private long zeroPoint;
    private @Nullable Range inputRange;
    private boolean takesAnyFloats;

    /**
     * How one activation tensor is quantized, in unsigned 8 bit.
     *
     * @param scale the scale, positive
     * @param zeroPoint the integer that stands for zero, 0 … 255
     */
    public record Range(float scale, int zeroPoint) {
        private static final int LARGEST = 255;

        /**
         * Checks.
         *
         * @throws EspalierException if the scale is not positive and finite, or the zero point is
         *     no unsigned 8-bit integer
         */
        public Range {
            if (!(scale > 0) || Float.isInfinite(scale)) {
                throw new EspalierException(
                        "A scale must be positive and finite; got " + scale + ".");
            }
            if (zeroPoint < 0 || zeroPoint > LARGEST) {
                throw new EspalierException(
                        "The zero point of unsigned 8-bit integers lies in 0…255; got "
                                + zeroPoint
                                + ".");
            }
        }

        /**
         * What an observer says.
         *
         * @param place whose activations these are, for errors
         * @throws EspalierException if it is not of {@code QUINT8} with one scale
         */
        public static Range of(String place, QuantizationParameters parameters) {
            if (parameters.dtype() != QuantizedType.QUINT8 || parameters.isPerChannel()) {
                throw new EspalierException(
                        "The activations of '"
                                + place
                                + "' are configured as "
                                + parameters.dtype()
                                + " "
                                + parameters.qscheme()
                                + "; the int8 kernels take torch.quint8 with one scale.");
            }
            return new Range(parameters.scale(), parameters.zeroPoint());
        }

        static Range read(Map<String, Tensor> tensors, String scale, String zeroPoint) {
            long zero = Tensors.longs(one(tensors, zeroPoint))[0];
            return new Range(
                    Tensors.floats(one(tensors, scale))[0], Math.clamp(zero, -1, LARGEST + 1));
        }

        private static Tensor one(Map<String, Tensor> tensors, String name) {
            Tensor number = required(tensors, name);
            if (number.numel() != 1) {
                throw new EspalierException(
                        "'" + name + "' must be one number; it has " + number.numel() + ".");
            }
            return number;
        }

        /** Keeps it in two buffers of a module. */
        void addTo(Module module, String scaleName, String zeroPointName) {
            module.addBuffer(scaleName, Tensors.of(scale));
            module.addBuffer(zeroPointName, Tensors.of(new long[] {zeroPoint}, 1));
        }

        /** As PyTorch prints it. */
        @Override
        public String toString() {
            return "scale=" + io.espalier.nn.Repr.of((double) scale) + ", zero_point=" + zeroPoint;
        }
    }

    /** A layer with the range of its output and, where it saw floats, of its input. */
    QuantizedLayer(Range output, @Nullable Range input) {
        output.addTo(this, SCALE, ZERO_POINT);
        if (input != null) {
            input.addTo(this, INPUT_SCALE, INPUT_ZERO_POINT);
        }
        readRanges();
    }

    /** What a saved layer says about its output. */
    static Range output(Map<String, Tensor> tensors) {
        return Range.read(tensors, SCALE, ZERO_POINT);
    }

    /** What a saved layer says about its input, if it does. */
    static @Nullable Range input(Map<String, Tensor> tensors) {
        return tensors.containsKey(INPUT_SCALE)
                ? Range.read(tensors, INPUT_SCALE, INPUT_ZERO_POINT)
                : null;
    }

    static Tensor required(Map<String, Tensor> tensors, String name) {
        Tensor found = tensors.get(name);
        if (found == null) {
            throw new EspalierException(
                    "A quantized layer in the file has no '"
                            + name
                            + "'; it has: "
                            + String.join(", ", tensors.keySet())
                            + ".");
        }
        return found;
    }

    private void readRanges() {
        Range output = output(ownBuffers());
        scale = output.scale();
        zeroPoint = output.zeroPoint();
        inputRange = input(ownBuffers());
    }

    @Override
    protected void stateLoaded() {
        readRanges();
    }

    final double scale() {
        return scale;
    }

    final long zeroPoint() {
        return zeroPoint;
    }

    /** The input as a quantized tensor. */
    final Tensor quantized(Tensor x) {
        if (x.is_quantized()) {
            return x;
        }
        Range range = inputRange(x);
        return quantize(x, range.scale(), range.zeroPoint());
    }

    /** How an input is, or is to be, quantized. */
    final Range inputRange(Tensor x) {
        if (x.is_quantized()) {
            return new Range((float) x.q_scale(), Math.toIntExact(x.q_zero_point()));
        }
        if (inputRange != null) {
            return inputRange;
        }
        if (!takesAnyFloats) {
            throw new EspalierException(
                    typeName()
                            + " was handed a float tensor, but saw none while calibrating; put a"
                            + " QuantStub before it, or calibrate the model as it is used.");
        }
        Observer observer = MinMaxObserver.with().reduceRange(true).made();
        observer.call(x);
        return Range.of(typeName(), observer.quantizationParameters());
    }

    /**
     * From now on floats are taken also where none came while calibrating: by their own range, with
     * one bit less, as dynamic layers do.
     */
    public final void takeAnyFloats() {
        takesAnyFloats = true;
    }

    static Tensor quantize(Tensor x, double scale, long zeroPoint) {
        Tensor floats = floats(x);
        return torch.quantize_per_tensor(
                floats.requires_grad() ? floats.detach() : floats,
                scale,
                zeroPoint,
                ScalarType.QUInt8);
    }

    private static Tensor floats(Tensor x) {
        ScalarType type = Tensors.type(x);
        if (type == ScalarType.Float) {
            return x;
        }
        if (!x.is_floating_point()) {
            throw new EspalierException(
                    "A quantized layer takes floating-point tensors; it was handed one of "
                            + type
                            + " and shape "
                            + Arrays.toString(Tensors.shape(x))
                            + ".");
        }
        return x.to(ScalarType.Float);
    }

    final String ranges() {
        return "scale=" + io.espalier.nn.Repr.of(scale) + ", zero_point=" + zeroPoint;
    }

    @Override
    public boolean isAtomic() {
        return true;
    }

    @Override
    public boolean givesNewMemory() {
        return true;
    }
}
