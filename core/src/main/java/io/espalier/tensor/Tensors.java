package io.espalier.tensor;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** Making tensors, and reading what is in them. */
public final class Tensors {
    static {
        Libtorch.start();
    }

    // Views of a quantized tensor are made in every call of a layer; to make these anew took longer
    // than the view.
    private static final TensorOptions BYTE = constant(new TensorOptions(ScalarType.Byte));
    private static final TensorOptions CHAR = constant(new TensorOptions(ScalarType.Char));
    private static final TensorOptions INT = constant(new TensorOptions(ScalarType.Int));
    private static final TensorOptions QUINT8 = constant(new TensorOptions(ScalarType.QUInt8));
    private static final MemoryFormatOptional ANY_FORMAT = constant(new MemoryFormatOptional());
    private static final long[] NOTHING = {0};
    private static final String VALUES = "the values of a tensor";

    private Tensors() {}

    /** Not freed with the scope that happens to be open when the class is first used. */
    private static <P extends Pointer> P constant(P made) {
        made.retainReference();
        return made;
    }

    /** What libtorch makes, if there is such a shape, and memory for it. */
    private static Tensor made(long[] shape, Supplier<Tensor> maker) {
        Needed.of(shape, "the shape");
        try {
            return maker.get();
        } catch (RuntimeException e) {
            throw TensorException.in("Can't make a tensor of shape " + Arrays.toString(shape), e);
        }
    }

    /** A tensor of the given shape, each element drawn from the standard normal distribution. */
    public static Tensor randn(long... shape) {
        return made(shape, () -> torch.randn(shape));
    }

    /** A tensor of the given shape, each element drawn uniformly from [0, 1). */
    public static Tensor rand(long... shape) {
        return made(shape, () -> torch.rand(shape));
    }

    /** A float tensor of zeros. */
    public static Tensor zeros(long... shape) {
        return made(shape, () -> torch.zeros(shape));
    }

    /** A float tensor of ones. */
    public static Tensor ones(long... shape) {
        return made(shape, () -> torch.ones(shape));
    }

    /** A tensor of zeros of the given type. */
    public static Tensor zeros(ScalarType type, long... shape) {
        Needed.of(type, "the type of the elements");
        return made(shape, () -> torch.zeros(shape, new TensorOptions(type)));
    }

    /** A tensor of the given type whose elements are whatever the memory held. */
    public static Tensor empty(ScalarType type, long... shape) {
        Needed.of(type, "the type of the elements");
        return made(
                shape,
                () -> torch.empty(shape, new TensorOptions(type), new MemoryFormatOptional()));
    }

    /** A one-dimensional float tensor with a copy of the values. */
    public static Tensor of(float... values) {
        return of(values, Needed.of(values, VALUES).length);
    }

    /**
     * A float tensor with a copy of the values, in row-major order.
     *
     * @throws EspalierException if the shape has another number of elements
     */
    public static Tensor of(float[] values, long... shape) {
        requireCount(Needed.of(values, VALUES).length, shape);
        Tensor tensor = torch.empty(shape);
        MemorySegment.copy(values, 0, segment(tensor), ValueLayout.JAVA_FLOAT, 0, values.length);
        return tensor;
    }

    /**
     * A tensor of 64-bit integers with a copy of the values, in row-major order.
     *
     * @throws EspalierException if the shape has another number of elements
     */
    public static Tensor of(long[] values, long... shape) {
        requireCount(Needed.of(values, VALUES).length, shape);
        Tensor tensor = zeros(ScalarType.Long, shape);
        MemorySegment.copy(values, 0, segment(tensor), ValueLayout.JAVA_LONG, 0, values.length);
        return tensor;
    }

    private static void requireCount(int count, long[] shape) {
        if (elements(Needed.of(shape, "the shape")) != count) {
            throw new EspalierException(
                    "A tensor of shape "
                            + Arrays.toString(shape)
                            + " has "
                            + elements(shape)
                            + " elements; "
                            + count
                            + " values were given.");
        }
    }

    private static long elements(long... shape) {
        return Arrays.stream(shape).reduce(1, Math::multiplyExact);
    }

    /**
     * The tensor itself, if it can still be used.
     *
     * @throws EspalierException if it is null, or was freed with its {@code PointerScope} or its
     *     batch
     */
    public static Tensor requireLive(Tensor tensor) {
        if (Needed.of(tensor, "a tensor").isNull()) {
            throw TensorException.freed();
        }
        return tensor;
    }

    /**
     * Refuses a tensor whose elements do not lie one by one in this machine's memory.
     *
     * @param name what it is called in the error
     * @throws EspalierException if it is sparse, undefined, freed, or on another device
     */
    public static void requirePlain(String name, Tensor tensor) {
        boolean plain =
                requireLive(Needed.of(tensor, "'" + Needed.of(name, "a name") + "'")).defined()
                        && tensor.layout().intern() == torch.Layout.Strided
                        && tensor.device().is_cpu();
        if (!plain) {
            throw new EspalierException(
                    "'"
                            + name
                            + "' is "
                            + (!tensor.defined()
                                    ? "undefined"
                                    : tensor.device().is_cpu()
                                            ? "a sparse tensor"
                                            : "on another device")
                            + "; needed is a dense tensor in main memory (to_dense(), cpu()).");
        }
    }

    /** The tensor's shape, outermost dimension first. */
    public static long[] shape(Tensor tensor) {
        requireLive(tensor);
        long[] shape = new long[Math.toIntExact(tensor.dim())];
        for (int d = 0; d < shape.length; d++) {
            shape[d] = tensor.size(d);
        }
        return shape;
    }

    /**
     * The type of the tensor's elements, as the enum's own constant (what libtorch's binding
     * returns is not).
     */
    public static ScalarType type(Tensor tensor) {
        return requireLive(tensor).scalar_type().intern();
    }

    /** The elements as floats in row-major order, copied. */
    public static float[] floats(Tensor tensor) {
        try (var scope = new PointerScope()) {
            Tensor plain = requireLive(tensor).detach().to(ScalarType.Float).contiguous();
            return segment(plain).toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    /** The elements as doubles in row-major order, copied. */
    public static double[] doubles(Tensor tensor) {
        try (var scope = new PointerScope()) {
            Tensor plain = requireLive(tensor).detach().to(ScalarType.Double).contiguous();
            return segment(plain).toArray(ValueLayout.JAVA_DOUBLE);
        }
    }

    /** The elements as 64-bit integers in row-major order, copied. */
    public static long[] longs(Tensor tensor) {
        try (var scope = new PointerScope()) {
            Tensor plain = requireLive(tensor).detach().to(ScalarType.Long).contiguous();
            return segment(plain).toArray(ValueLayout.JAVA_LONG);
        }
    }

    /**
     * The tensor's own memory, without a copy; writing to it changes the tensor. The segment keeps
     * the tensor from the collector, but not from the end of its {@code PointerScope}.
     *
     * @throws EspalierException if the elements do not lie in row-major order without gaps
     */
    public static MemorySegment segment(Tensor tensor) {
        if (!requireLive(tensor).is_contiguous()) {
            throw new EspalierException(
                    "A memory segment needs a contiguous tensor; call contiguous() on it first.");
        }
        long bytes = tensor.nbytes();
        return bytes == 0
                ? MemorySegment.NULL
                : MemorySegment.ofAddress(tensor.data_ptr().address())
                        .reinterpret(bytes, Arena.ofAuto(), new Hold(tensor));
    }

    /** Holds a tensor as long as somebody may read its memory. */
    private record Hold(Tensor tensor) implements Consumer<MemorySegment> {
        @Override
        public void accept(MemorySegment nobodyReads) {}
    }

    /**
     * The integers of a quantized tensor as a plain one, which shares its memory: {@code int_repr}
     * without its copy.
     *
     * @throws EspalierException if the tensor is not quantized
     */
    public static Tensor integers(Tensor quantized) {
        TensorOptions plain =
                switch (type(quantized)) {
                    case QUInt8 -> BYTE;
                    case QInt8 -> CHAR;
                    case QInt32 -> INT;
                    default ->
                            throw new EspalierException(
                                    "Integers come from a quantized tensor; this one is "
                                            + type(quantized)
                                            + ".");
                };
        return sharing(quantized, torch.empty(NOTHING, plain, ANY_FORMAT));
    }

    /**
     * Unsigned 8-bit integers as a quantized tensor with a scale, which shares their memory.
     *
     * @throws EspalierException if the tensor is of another type, or the scale is no positive
     *     number
     */
    public static Tensor quantized(Tensor integers, double scale, long zeroPoint) {
        if (type(integers) != ScalarType.Byte) {
            throw new EspalierException(
                    "A quantized tensor is made of unsigned 8-bit integers; these are "
                            + type(integers)
                            + ".");
        }
        if (!(scale > 0 && scale <= Double.MAX_VALUE)) {
            throw new EspalierException(
                    "A quantized tensor needs a scale above 0, and finite; it was given "
                            + scale
                            + ".");
        }
        return sharing(
                integers,
                torch.torch__empty_affine_quantized(NOTHING, QUINT8, scale, zeroPoint, ANY_FORMAT));
    }

    /** Makes an empty tensor a view of another's memory, element by element. */
    private static Tensor sharing(Tensor of, Tensor empty) {
        long[] strides = new long[Math.toIntExact(of.dim())];
        for (int d = 0; d < strides.length; d++) {
            strides[d] = of.stride(d);
        }
        empty.set_(of.storage(), of.storage_offset(), shape(of), strides);
        return empty;
    }

    /**
     * Keeps a tensor beyond the {@code PointerScope} it was made in, or the batch it belongs to;
     * the collector frees it when it is unreachable.
     */
    public static Tensor keep(Tensor tensor) {
        requireLive(tensor).retainReference();
        return tensor;
    }

    /**
     * Moves a tensor from the innermost {@code PointerScope} to one around it, or to the collector
     * where there is none.
     *
     * @return the tensor itself
     */
    public static Tensor handOver(Tensor tensor, @Nullable PointerScope outer) {
        requireLive(tensor).retainReference();
        if (outer != null) {
            outer.attach(tensor);
            tensor.releaseReference();
        }
        return tensor;
    }

    /** Whether both have the same shape, type and elements (NaN equals NaN in the same place). */
    public static boolean equal(Tensor a, Tensor b) {
        try (var scope = new PointerScope()) {
            return type(a) == type(b)
                    && Arrays.equals(shape(a), shape(b))
                    && torch.allclose(a, b, 0, 0, true);
        }
    }

    /**
     * The tensor as PyTorch prints it: four decimals, nested brackets, long dimensions shortened.
     */
    public static String toString(Tensor tensor) {
        return TensorPrinter.print(requireLive(tensor));
    }
}
