package io.espalier.onnx.run;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.TensorInfo.OnnxTensorType;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Tensors of the two libraries as each other's. */
final class RuntimeTensors {
    private RuntimeTensors() {}

    /** A tensor of ONNX Runtime on the same memory, which must outlive it. */
    static OnnxTensor lend(OrtEnvironment environment, String name, Tensor tensor)
            throws OrtException {
        OnnxJavaType type =
                switch (Tensors.type(tensor)) {
                    case Float -> OnnxJavaType.FLOAT;
                    case Double -> OnnxJavaType.DOUBLE;
                    case Half -> OnnxJavaType.FLOAT16;
                    case BFloat16 -> OnnxJavaType.BFLOAT16;
                    case Long -> OnnxJavaType.INT64;
                    case Int -> OnnxJavaType.INT32;
                    case Short -> OnnxJavaType.INT16;
                    case Char -> OnnxJavaType.INT8;
                    case Byte -> OnnxJavaType.UINT8;
                    case Bool -> OnnxJavaType.BOOL;
                    default ->
                            throw new EspalierException(
                                    "ONNX Runtime takes no input of type "
                                            + Tensors.type(tensor)
                                            + ".");
                };
        requireBuffer(name, tensor);
        ByteBuffer bytes =
                tensor.nbytes() == 0
                        ? ByteBuffer.allocateDirect(0)
                        : Tensors.segment(tensor).asByteBuffer();
        return OnnxTensor.createTensor(
                environment, bytes.order(ByteOrder.nativeOrder()), Tensors.shape(tensor), type);
    }

    /** A tensor of libtorch with a copy of a result. */
    static Tensor copy(String name, OnnxValue value) {
        if (!(value instanceof OnnxTensor tensor)) {
            throw new EspalierException(
                    "The model's result '" + name + "' is a " + value.getType() + ", no tensor.");
        }
        Tensor copy =
                Tensors.empty(type(name, tensor.getInfo().onnxType), tensor.getInfo().getShape());
        requireBuffer(name, copy);
        if (copy.nbytes() > 0) {
            Tensors.segment(copy).copyFrom(MemorySegment.ofBuffer(tensor.getByteBuffer()));
        }
        return copy;
    }

    /** Java and ONNX Runtime hand over buffers whose sizes are ints. */
    private static void requireBuffer(String name, Tensor tensor) {
        if (tensor.nbytes() > Integer.MAX_VALUE) {
            throw new EspalierException(
                    "'%s' has %,d bytes, more than ONNX Runtime takes from Java or gives it at once (%,d); take fewer examples at once, on the command line by --batch N."
                            .formatted(name, tensor.nbytes(), Integer.MAX_VALUE));
        }
    }

    private static ScalarType type(String name, OnnxTensorType type) {
        return switch (type) {
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT -> ScalarType.Float;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE -> ScalarType.Double;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 -> ScalarType.Half;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16 -> ScalarType.BFloat16;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 -> ScalarType.Long;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 -> ScalarType.Int;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16 -> ScalarType.Short;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8 -> ScalarType.Char;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 -> ScalarType.Byte;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16 -> ScalarType.UInt16;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32 -> ScalarType.UInt32;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64 -> ScalarType.UInt64;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL -> ScalarType.Bool;
            default ->
                    throw new EspalierException(
                            "The model's result '" + name + "' has no type of libtorch: " + type);
        };
    }
}
