package io.espalier.compress;

import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.Parametrization;
import io.espalier.nn.SharedWeights;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Weights that share few values, found by k-means (Han et al., <a
 * href="https://arxiv.org/abs/1510.00149">Deep Compression</a>, 2016). What is 0, or masked, stays
 * 0 and takes none of the values.
 *
 * <p>A shared {@code weight} keeps its place and shape; the buffer {@code weight_codes}, of bytes,
 * says which elements belong together. Training moves those together, by the sum of their
 * gradients, and keeps the zeros. An optimizer goes on with the same tensor; its momentum of before
 * is that of single weights, so that one made afterwards serves better.
 */
public final class WeightSharing {
    /** A byte's numbers but 0, which is for zeros. */
    private static final int MOST = 255;

    private WeightSharing() {}

    /**
     * Lets the elements of a parameter share values.
     *
     * @param bits from 1 to 8: the parameter has up to {@code 2^bits} different values besides 0,
     *     and up to 255 with 8
     * @throws EspalierException if there is no such parameter, it shares values already, passes
     *     through anything but a mask, or holds NaN or an infinity; it is as it was
     */
    public static void share(Module module, String name, int bits) {
        requireBits(bits);
        Module standing = Needed.of(module, "the module").current();
        requireShareable(standing, name);
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            Tensor stored = standing.parameter(standing.storedName(name));
            float[] values = Tensors.floats(standing.value(name));
            Tensor codes = Tensors.empty(ScalarType.Byte, Tensors.shape(stored));
            byte[] numbers = new byte[values.length];
            float[] shared = shared(values, 1 << bits, numbers, name);
            Tensors.segment(codes).copyFrom(MemorySegment.ofArray(numbers));
            stored.copy_(Tensors.of(shared, Tensors.shape(stored)));
            var sharing = new SharedWeights(name);
            standing.addBuffer(sharing.bufferName(), codes);
            standing.parametrize(name, sharing);
        }
    }

    /**
     * Lets all weights of a model share values, each parameter of two and more dimensions for
     * itself.
     *
     * @throws EspalierException if there is none, or one of them can't; those before it share then
     */
    public static void shareAll(Module model, int bits) {
        requireBits(bits);
        int found = 0;
        int shared = 0;
        for (Module module : Needed.of(model, "the model").current().namedModules().values()) {
            for (String name : Weights.names(module)) {
                if (module.parameter(module.storedName(name)).dim() < 2) {
                    continue;
                }
                if (isShared(module, name)) {
                    shared++;
                } else {
                    share(module, name, bits);
                    found++;
                }
            }
        }
        if (found == 0) {
            throw new EspalierException(
                    shared == 0
                            ? "There are no weights to share: no parameter has two or more"
                                    + " dimensions."
                            : "All %d weights share their values already; remove that first."
                                    .formatted(shared));
        }
    }

    /**
     * The values that elements get.
     *
     * @param name what an error calls the weight
     */
    static float[] shared(float[] values, int count, String name) {
        return shared(values, count, new byte[values.length], name);
    }

    /** The values that elements get, and, as bytes, which of them each is. */
    private static float[] shared(float[] values, int count, byte[] codes, String name) {
        float[] nonzero = new float[values.length];
        int found = 0;
        for (float value : values) {
            if (!Float.isFinite(value)) {
                throw new EspalierException(
                        "'" + name + "' holds " + value + ", which no other weight can share.");
            }
            if (value != 0) {
                nonzero[found++] = value;
            }
        }
        float[] shared = new float[values.length];
        if (found == 0) {
            return shared;
        }
        Clusters clusters = Clusters.of(Arrays.copyOf(nonzero, found), Math.min(count, MOST));
        for (int i = 0; i < values.length; i++) {
            if (values[i] != 0) {
                int nearest = clusters.nearest(values[i]);
                codes[i] = (byte) (nearest + 1);
                shared[i] = clusters.centers()[nearest];
            }
        }
        return shared;
    }

    private static void requireBits(int bits) {
        if (bits < 1 || bits > 8) {
            throw new EspalierException(
                    "Weights share values of 1 to 8 bits; asked for " + bits + ".");
        }
    }

    private static void requireShareable(Module module, String name) {
        Needed.of(name, "the name of a parameter");
        Tensor stored = module.parameter(module.storedName(name));
        if (isShared(module, name)) {
            throw new EspalierException(
                    "'" + name + "' shares its values already; remove that first.");
        }
        for (Parametrization other : module.parametrizations(name)) {
            if (!(other instanceof Mask)) {
                throw new EspalierException(
                        "'"
                                + name
                                + "' passes through "
                                + other.getClass().getSimpleName()
                                + ", which may change its values; freeze or convert it first.");
            }
        }
        if (Tensors.type(stored) != ScalarType.Float) {
            throw new EspalierException(
                    "'" + name + "' is " + Tensors.type(stored) + "; 32-bit floats can be shared.");
        }
    }

    /** Whether a parameter of a module shares values. */
    public static boolean isShared(Module module, String name) {
        return Needed.of(module, "the module")
                .current()
                .parametrizations(name)
                .contains(new SharedWeights(name));
    }

    /**
     * Ends it: the parameter has the values that it shares now, and each is trained alone from here
     * on. A mask stays.
     *
     * @throws EspalierException if the parameter shares none
     */
    public static void remove(Module module, String name) {
        Module standing = Needed.of(module, "the module").current();
        var sharing = new SharedWeights(name);
        if (!isShared(standing, name)) {
            throw new EspalierException(
                    "'" + name + "' shares no values, so there is nothing to remove.");
        }
        try (var scope = new PointerScope();
                var guard = new NoGradGuard()) {
            Tensor stored = standing.parameter(standing.storedName(name));
            stored.copy_(sharing.apply(standing, stored));
        }
        standing.unparametrize(name, sharing);
        standing.removeBuffer(sharing.bufferName());
    }
}
