package io.espalier.onnx.model;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;

import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.TensorShapeProto.Dimension;
import io.espalier.onnx.proto.TypeProto;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;

/**
 * A tensor that a model brings with it: an initializer, or an attribute's value.
 *
 * <p>Its elements lie where the file has them, mapped, and are read when they are asked for; a
 * tensor never changes.
 */
public final class ConstantTensor {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final TensorProto proto;
    private final ElementType type;
    private final long elements;
    private final MemorySegment bytes;

    /** What the message says, with its elements elsewhere. */
    private ConstantTensor(
            TensorProto proto, ElementType type, long elements, MemorySegment bytes) {
        this.proto = proto;
        this.type = type;
        this.elements = elements;
        this.bytes = bytes;
    }

    /**
     * The tensor of a message that holds its own elements.
     *
     * @throws EspalierException if the elements are not as many as type and shape say, or lie in
     *     another file
     */
    public static ConstantTensor of(TensorProto proto) {
        return of(proto, ExternalData.NONE);
    }

    /** The tensor of a message whose elements may lie in files beside the model's. */
    static ConstantTensor of(TensorProto proto, ExternalData external) {
        ElementType type = ElementType.of(proto.getDataType());
        if (proto.hasSegment()) {
            throw new EspalierException(
                    "The constant '"
                            + proto.getName()
                            + "' is only a segment of a tensor, which"
                            + " ONNX Runtime doesn't read either.");
        }
        long elements = Shape.elements(proto.getDimsList());
        if (type == ElementType.STRING) {
            if (proto.getStringDataCount() != elements) {
                throw TypedData.wrongCount(proto, elements, proto.getStringDataCount());
            }
            return new ConstantTensor(proto, type, elements, MemorySegment.NULL);
        }
        MemorySegment bytes =
                proto.getDataLocation() == TensorProto.DataLocation.EXTERNAL
                        ? external.bytes(proto, size(proto, type, elements))
                        : TypedData.bytes(proto, type, elements);
        return new ConstantTensor(proto, type, elements, bytes);
    }

    /** A tensor of these elements, little-endian as the standard has them; they are not copied. */
    public static ConstantTensor of(ElementType type, List<Long> shape, MemorySegment bytes) {
        long elements = Shape.elements(shape);
        if (type == ElementType.STRING || bytes.byteSize() != type.bytes(elements)) {
            throw new EspalierException(
                    "%d bytes don't make a tensor of %s %s."
                            .formatted(bytes.byteSize(), type, shape));
        }
        var proto = TensorProto.newBuilder().setDataType(type.code()).addAllDims(shape).build();
        return new ConstantTensor(proto, type, elements, bytes.asReadOnly());
    }

    /** A tensor of floats, in row-major order. */
    public static ConstantTensor floats(List<Long> shape, float... values) {
        var bytes = MemorySegment.ofArray(new byte[Math.multiplyExact(values.length, 4)]);
        MemorySegment.copy(values, 0, bytes, FLOAT, 0, values.length);
        return of(ElementType.FLOAT, shape, bytes);
    }

    /** A tensor of 16-bit floats by their bits, in row-major order. */
    public static ConstantTensor halves(List<Long> shape, short... bits) {
        var bytes = MemorySegment.ofArray(new byte[Math.multiplyExact(bits.length, 2)]);
        MemorySegment.copy(bits, 0, bytes, SHORT, 0, bits.length);
        return of(ElementType.FLOAT16, shape, bytes);
    }

    /** A tensor of 64-bit integers, in row-major order. */
    public static ConstantTensor longs(List<Long> shape, long... values) {
        var bytes = MemorySegment.ofArray(new byte[Math.multiplyExact(values.length, 8)]);
        MemorySegment.copy(values, 0, bytes, LONG, 0, values.length);
        return of(ElementType.INT64, shape, bytes);
    }

    /** A tensor of bytes, signed or not, in row-major order. */
    public static ConstantTensor bytes(ElementType type, List<Long> shape, byte... values) {
        return of(type, shape, MemorySegment.ofArray(values.clone()));
    }

    /** A float without dimensions. */
    public static ConstantTensor scalar(float value) {
        return floats(List.of(), value);
    }

    /**
     * A tensor of the elements that libtorch's has now.
     *
     * @throws EspalierException if ONNX has no such elements
     */
    public static ConstantTensor of(Tensor tensor) {
        ElementType type = ElementType.of(Tensors.type(tensor));
        List<Long> shape = Arrays.stream(Tensors.shape(tensor)).boxed().toList();
        var bytes = MemorySegment.ofArray(new byte[Math.toIntExact(tensor.nbytes())]);
        if (bytes.byteSize() > 0) {
            try (var scope = new PointerScope()) {
                bytes.copyFrom(Tensors.segment(tensor.contiguous()));
            }
        }
        return of(type, shape, bytes);
    }

    /**
     * A new tensor of libtorch's with these elements.
     *
     * @throws EspalierException if libtorch has no such elements
     */
    public Tensor toTensor() {
        long[] extents = shape().stream().mapToLong(Long::longValue).toArray();
        Tensor tensor = Tensors.empty(type.libtorch(), extents);
        if (elements > 0) {
            Tensors.segment(tensor).copyFrom(bytes);
        }
        return tensor;
    }

    /** The bytes that a message's tensor has to have. */
    private static long size(TensorProto proto, ElementType type, long elements) {
        try {
            return type.bytes(elements);
        } catch (ArithmeticException e) {
            throw new EspalierException(
                    "The constant '%s' of shape %s is larger than any memory."
                            .formatted(proto.getName(), proto.getDimsList()),
                    e);
        }
    }

    /** What its elements are. */
    public ElementType type() {
        return type;
    }

    /** Its extents; none for a scalar. */
    public List<Long> shape() {
        return proto.getDimsList();
    }

    /** How many elements it has. */
    public long elements() {
        return elements;
    }

    /** Bytes of its elements. */
    public long byteSize() {
        return type == ElementType.STRING
                ? proto.getStringDataList().stream().mapToLong(ByteString::size).sum()
                : bytes.byteSize();
    }

    /**
     * Its elements' bytes as the standard has them: row-major, little-endian, read-only.
     *
     * @throws EspalierException if they are strings
     */
    public MemorySegment bytes() {
        if (type == ElementType.STRING) {
            throw new EspalierException("A tensor of strings has no elements of a fixed size.");
        }
        return bytes;
    }

    /** Its strings, if they are that. */
    public List<ByteString> strings() {
        return proto.getStringDataList();
    }

    /**
     * All elements as floats, in a new array.
     *
     * @throws EspalierException if they are no numbers, or more than an array holds
     */
    public float[] toFloats() {
        return TypedData.toFloats(this);
    }

    /**
     * All elements as integers, in a new array; real numbers are cut.
     *
     * @throws EspalierException if they are no numbers, or more than an array holds
     */
    public long[] toLongs() {
        return TypedData.toLongs(this);
    }

    /** The same elements under another shape of as many elements. */
    public ConstantTensor reshaped(List<Long> shape) {
        if (type == ElementType.STRING) {
            throw new EspalierException("A tensor of strings can't be reshaped.");
        }
        return of(type, shape, bytes);
    }

    /**
     * The same tensor, with all that the file says of it, with other elements: as many bytes,
     * little-endian and row-major; they are not copied.
     */
    public ConstantTensor withBytes(MemorySegment others) {
        if (others.byteSize() != byteSize() || type == ElementType.STRING) {
            throw new EspalierException(
                    "%d bytes don't make a tensor of %s.".formatted(others.byteSize(), this));
        }
        return new ConstantTensor(
                header(proto.getName()).build(), type, elements, others.asReadOnly());
    }

    /** The message as it came, or one with these elements: of this name, elements within. */
    public TensorProto toProto(String name) {
        if (proto.getDataLocation() != TensorProto.DataLocation.EXTERNAL && isSelfContained()) {
            return proto.getName().equals(name) ? proto : proto.toBuilder().setName(name).build();
        }
        return header(name)
                .setRawData(UnsafeByteOperations.unsafeWrap(bytes.asByteBuffer()))
                .build();
    }

    /** The message of this name without its elements. */
    TensorProto.Builder header(String name) {
        var header =
                TensorProto.newBuilder()
                        .addAllDims(proto.getDimsList())
                        .setDataType(type.code())
                        .addAllMetadataProps(proto.getMetadataPropsList())
                        .setName(name);
        if (proto.hasDocString()) {
            header.setDocString(proto.getDocString());
        }
        return header;
    }

    /** What a graph says of a value of this name that is this tensor. */
    ValueInfoProto declaration(String name) {
        var tensor = TypeProto.Tensor.newBuilder().setElemType(type.code());
        var dims = tensor.getShapeBuilder();
        shape().forEach(extent -> dims.addDim(Dimension.newBuilder().setDimValue(extent)));
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder().setTensorType(tensor))
                .build();
    }

    /** Whether what a graph says of a value is true of this tensor. */
    boolean isDeclaredBy(ValueInfoProto info) {
        TypeProto.Tensor declared = info.getType().getTensorType();
        return declared.getElemType() == type.code()
                && declared.getShape().getDimList().stream()
                        .map(Dimension::getDimValue)
                        .toList()
                        .equals(shape());
    }

    private boolean isSelfContained() {
        return elements == 0
                || proto.hasRawData()
                || proto.getFloatDataCount() > 0
                || proto.getInt32DataCount() > 0
                || proto.getInt64DataCount() > 0
                || proto.getDoubleDataCount() > 0
                || proto.getUint64DataCount() > 0
                || proto.getStringDataCount() > 0;
    }

    @Override
    public String toString() {
        return type + " " + shape();
    }
}
