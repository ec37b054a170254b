package io.espalier.onnx.model;

import com.google.protobuf.ByteString;

import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.SparseTensorProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Constants that a file stores as the standard's sparse initializers: the values that are not zero,
 * and the index of each, of eight bytes, in the tensor as one row.
 */
final class SparseConstants {
    /** A file may claim so much memory for them whatever it holds … */
    private static final long FREE_BYTES = 64L << 20;

    /** … and so many bytes more for each of theirs. */
    private static final long EXPANSION = 4096;

    /** Below this there is little to be saved. */
    private static final int WORTH_BYTES = 1024;

    private SparseConstants() {}

    /**
     * The sparse initializers of a graph as ordinary constants.
     *
     * @throws EspalierException if one contradicts itself, or they claim more memory than a file of
     *     such a size does
     */
    static Map<String, ConstantTensor> dense(GraphProto graph, ExternalData external) {
        var away = new ExternalTensors(external);
        var dense = new LinkedHashMap<String, ConstantTensor>();
        long budget = FREE_BYTES;
        for (SparseTensorProto each : graph.getSparseInitializerList()) {
            SparseTensorProto sparse = away.held(each);
            String name = sparse.getValues().getName();
            try {
                ConstantTensor values = ConstantTensor.of(sparse.getValues());
                budget += EXPANSION * values.byteSize();
                budget -= size(sparse, values.type());
                if (budget < 0) {
                    throw new EspalierException("it claims more memory than such a file does");
                }
                if (dense.put(name, dense(sparse, values)) != null) {
                    throw new EspalierException("there are two of this name");
                }
            } catch (EspalierException e) {
                throw new EspalierException(
                        "The sparse constant '%s' can't be read: %s"
                                .formatted(SafeTensors.printable(name), e.getMessage()),
                        e);
            }
        }
        return dense;
    }

    /** The bytes of all elements. */
    private static long size(SparseTensorProto sparse, ElementType type) {
        long elements = Shape.elements(sparse.getDimsList());
        if (type.bits() < Byte.SIZE || elements > Integer.MAX_VALUE / 16) {
            throw new EspalierException(
                    "%d elements of %s are not stored so".formatted(elements, type));
        }
        return type.bytes(elements);
    }

    private static ConstantTensor dense(SparseTensorProto sparse, ConstantTensor values) {
        ConstantTensor indices = ConstantTensor.of(sparse.getIndices());
        List<Long> shape = sparse.getDimsList();
        boolean byPlace = indices.shape().size() == 2;
        List<Long> wanted =
                byPlace
                        ? List.of(values.elements(), (long) shape.size())
                        : List.of(values.elements());
        if (indices.type() != ElementType.INT64 || !indices.shape().equals(wanted)) {
            throw new EspalierException("it has %s for %s".formatted(indices, values));
        }
        long[] numbers = indices.toLongs();
        int width = (int) values.type().bytes(1);
        var bytes = MemorySegment.ofArray(new byte[(int) size(sparse, values.type())]);
        long before = -1;
        for (int i = 0; i < values.elements(); i++) {
            long index = byPlace ? index(numbers, i, shape) : numbers[i];
            if (index <= before || index >= Shape.elements(shape)) {
                throw new EspalierException("its indices are not in order, or outside of it");
            }
            MemorySegment.copy(values.bytes(), (long) i * width, bytes, index * width, width);
            before = index;
        }
        return ConstantTensor.of(values.type(), shape, bytes);
    }

    /** The index in one row of an element that is given by its place in each dimension. */
    private static long index(long[] places, int element, List<Long> shape) {
        long index = 0;
        for (int d = 0; d < shape.size(); d++) {
            long place = places[element * shape.size() + d];
            if (place < 0 || place >= shape.get(d)) {
                throw new EspalierException("its indices are outside of it");
            }
            index = index * shape.get(d) + place;
        }
        return index;
    }

    /** The same graph with those constants sparse that are smaller so. */
    static GraphProto sparse(GraphProto graph) {
        var inputs = new HashSet<String>();
        graph.getInputList().forEach(input -> inputs.add(input.getName()));
        GraphProto.Builder sparse = graph.toBuilder().clearInitializer();
        for (TensorProto each : graph.getInitializerList()) {
            boolean within = each.getDataLocation() != TensorProto.DataLocation.EXTERNAL;
            if (within && !inputs.contains(each.getName())) {
                add(sparse, each, ConstantTensor.of(each));
            } else {
                sparse.addInitializer(each);
            }
        }
        return sparse.build();
    }

    private static void add(GraphProto.Builder graph, TensorProto proto, ConstantTensor constant) {
        boolean worth =
                constant.type().bits() >= Byte.SIZE
                        && constant.byteSize() >= WORTH_BYTES
                        && constant.elements() <= Integer.MAX_VALUE / 16;
        int width = worth ? (int) constant.type().bytes(1) : 1;
        int kept = worth ? kept(constant, width) : 0;
        if (!worth || (long) kept * (Long.BYTES + width) >= constant.byteSize() * 9 / 10) {
            graph.addInitializer(proto);
            return;
        }
        ByteBuffer indices = bytes(kept * Long.BYTES);
        ByteBuffer values = bytes(kept * width);
        for (int i = 0; i < constant.elements(); i++) {
            if (!isZero(constant, i, width)) {
                indices.putLong(i);
                values.put(constant.bytes().asSlice((long) i * width, width).asByteBuffer());
            }
        }
        graph.addSparseInitializer(
                SparseTensorProto.newBuilder()
                        .addAllDims(constant.shape())
                        .setIndices(
                                TensorProto.newBuilder()
                                        .setDataType(ElementType.INT64.code())
                                        .addDims(kept)
                                        .setRawData(ByteString.copyFrom(indices.flip())))
                        .setValues(
                                TensorProto.newBuilder()
                                        .setName(proto.getName())
                                        .setDataType(constant.type().code())
                                        .addDims(kept)
                                        .setRawData(ByteString.copyFrom(values.flip()))));
    }

    private static ByteBuffer bytes(int count) {
        return ByteBuffer.allocate(count).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static int kept(ConstantTensor constant, int width) {
        int kept = 0;
        for (int i = 0; i < constant.elements(); i++) {
            kept += isZero(constant, i, width) ? 0 : 1;
        }
        return kept;
    }

    /** Whether an element is 0; a real number may be −0. */
    private static boolean isZero(ConstantTensor constant, int index, int width) {
        long at = (long) index * width;
        for (int i = 0; i < width; i++) {
            byte each = constant.bytes().get(ValueLayout.JAVA_BYTE, at + i);
            boolean sign = constant.type().isFloating() && i == width - 1;
            if (sign ? (byte) (each << 1) != 0 : each != 0) {
                return false;
            }
        }
        return true;
    }
}
