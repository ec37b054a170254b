package io.espalier.onnx.serve;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;

/**
 * Numbers in Java's own memory with a shape, row-major: what programs that know no tensors give a
 * model and get from it.
 */
public final class NumberArray {
    private static final String NUMBERS = "the numbers";
    private static final String SHAPE = "their shape";

    private final Object numbers;
    private final long[] shape;

    private NumberArray(Object numbers, int length, long[] shape) {
        double elements = Arrays.stream(shape).mapToDouble(n -> n).reduce(1, (a, b) -> a * b);
        if (Arrays.stream(shape).anyMatch(n -> n < 0) || elements != length) {
            throw new EspalierException(
                    "There are %d numbers, which do not make up the shape %s."
                            .formatted(length, Arrays.toString(shape)));
        }
        this.numbers = numbers;
        this.shape = shape.clone();
    }

    /**
     * Real numbers; the array is not copied.
     *
     * @throws EspalierException if there are not as many as the shape has places
     */
    public static NumberArray of(float[] values, long... shape) {
        return new NumberArray(values, Needed.of(values, NUMBERS).length, Needed.of(shape, SHAPE));
    }

    /**
     * Integers, such as the numbers of tokens; the array is not copied.
     *
     * @throws EspalierException if there are not as many as the shape has places
     */
    public static NumberArray of(long[] values, long... shape) {
        return new NumberArray(values, Needed.of(values, NUMBERS).length, Needed.of(shape, SHAPE));
    }

    /** The elements of a tensor, copied; booleans are 0 and 1. */
    static NumberArray of(Tensor tensor) {
        long[] shape = Tensors.shape(tensor);
        return tensor.is_floating_point()
                ? of(Tensors.floats(tensor.to(ScalarType.Float)), shape)
                : of(Tensors.longs(tensor.to(ScalarType.Long)), shape);
    }

    /** A tensor with a copy of the numbers. */
    Tensor tensor() {
        return numbers instanceof float[] floats
                ? Tensors.of(floats, shape)
                : Tensors.of((long[]) numbers, shape);
    }

    /**
     * The real numbers themselves, not a copy.
     *
     * @throws EspalierException if these are integers
     */
    public float[] floats() {
        if (numbers instanceof float[] floats) {
            return floats;
        }
        throw new EspalierException("These numbers are integers; longs() gives them.");
    }

    /**
     * The integers themselves, not a copy.
     *
     * @throws EspalierException if these are real numbers
     */
    public long[] longs() {
        if (numbers instanceof long[] longs) {
            return longs;
        }
        throw new EspalierException("These numbers are real; floats() gives them.");
    }

    /** The extents, outermost first. */
    public long[] shape() {
        return shape.clone();
    }

    @Override
    public String toString() {
        return (numbers instanceof float[] ? "float" : "long") + Arrays.toString(shape);
    }
}
