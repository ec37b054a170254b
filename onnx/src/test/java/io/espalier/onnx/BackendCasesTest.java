package io.espalier.onnx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import static java.util.Objects.requireNonNull;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;

import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.proto.ValueInfoProto;
import io.espalier.onnx.repair.Repair;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The standard's own cases, which are not part of this project: {@code
 * -Despalier.onnx.backend=onnx/backend/test/data} names where they are.
 */
@DisplayName("The standard's backend cases")
@EnabledIfSystemProperty(named = "espalier.onnx.backend", matches = ".+")
class BackendCasesTest {
    private static final OrtEnvironment RUNTIME = OrtEnvironment.getEnvironment();

    /** Of the largest number. */
    private static final double TOLERANCE = 1e-4;

    /** Of the largest number, where sums are rounded to 16 bits on their way. */
    private static final double OF_HALVES = 1e-2;

    private static final Set<OnnxJavaType> REAL =
            EnumSet.of(
                    OnnxJavaType.FLOAT,
                    OnnxJavaType.DOUBLE,
                    OnnxJavaType.FLOAT16,
                    OnnxJavaType.BFLOAT16);

    private static final Map<ElementType, ScalarType> SCALARS =
            Map.of(
                    ElementType.FLOAT, ScalarType.Float,
                    ElementType.FLOAT16, ScalarType.Half,
                    ElementType.BFLOAT16, ScalarType.BFloat16,
                    ElementType.DOUBLE, ScalarType.Double,
                    ElementType.INT64, ScalarType.Long,
                    ElementType.INT32, ScalarType.Int,
                    ElementType.INT16, ScalarType.Short,
                    ElementType.INT8, ScalarType.Char,
                    ElementType.UINT8, ScalarType.Byte,
                    ElementType.BOOL, ScalarType.Bool);

    private static final Map<ScalarType, OnnxJavaType> TYPES =
            Map.of(
                    ScalarType.Float, OnnxJavaType.FLOAT,
                    ScalarType.Half, OnnxJavaType.FLOAT16,
                    ScalarType.BFloat16, OnnxJavaType.BFLOAT16,
                    ScalarType.Double, OnnxJavaType.DOUBLE,
                    ScalarType.Long, OnnxJavaType.INT64,
                    ScalarType.Int, OnnxJavaType.INT32,
                    ScalarType.Short, OnnxJavaType.INT16,
                    ScalarType.Char, OnnxJavaType.INT8,
                    ScalarType.Byte, OnnxJavaType.UINT8,
                    ScalarType.Bool, OnnxJavaType.BOOL);

    @TempDir Path folder;

    /** One result: its type, its shape and its bytes. */
    @SuppressWarnings("ArrayRecordComponent") // made and read here alone
    private record Value(long[] shape, OnnxJavaType type, ByteBuffer bytes) {}

    @TestFactory
    @DisplayName("have the same results after load and save, after repair, and on libtorch")
    Stream<DynamicTest> cases() throws IOException {
        Path root = Path.of(requireNonNull(System.getProperty("espalier.onnx.backend")));
        List<Path> models;
        try (Stream<Path> all = Files.walk(root)) {
            models = all.filter(file -> file.toString().endsWith(".onnx")).sorted().toList();
        }
        return models.stream()
                .map(file ->
                        DynamicTest.dynamicTest(
                                root.relativize(file).toString(), () -> check(file)));
    }

    private void check(Path file) throws IOException {
        try (Stream<Path> all = Files.list(file.getParent())) {
            List<Path> sets = all.filter(Files::isDirectory).sorted().toList();
            if (sets.isEmpty()) {
                check(file, () -> random(OnnxModel.load(file)));
            }
            for (Path set : sets) {
                check(file, () -> read(set, OnnxModel.load(file)));
            }
        }
    }

    /** Makes a model's inputs anew. */
    private interface Given {
        Map<String, OnnxTensor> inputs() throws OrtException, IOException;
    }

    private void check(Path file, Given given) throws IOException {
        Map<String, Value> expected;
        try {
            expected = run(file, given);
        } catch (OrtException | IllegalStateException e) {
            assumeTrue(false, "ONNX Runtime: " + e.getMessage());
            return;
        }
        OnnxModel model = OnnxModel.load(file);
        Path same = folder.resolve("same.onnx");
        model.save(same);
        Path repaired = folder.resolve("repaired.onnx");
        Repair.run(model).model().save(repaired);

        assertSame(expected, runs(same, given), 0);
        assertSame(expected, runs(repaired, given), TOLERANCE);
        LoweredModel lowered;
        try {
            lowered = Lowering.lower(model);
        } catch (EspalierException e) {
            System.out.println(file + " is not lowered: " + e.getMessage());
            return;
        }
        assertSame(expected, runsOnLibtorch(lowered, given), TOLERANCE);
    }

    private static Map<String, Value> runs(Path file, Given given) throws IOException {
        try {
            return run(file, given);
        } catch (OrtException e) {
            throw new AssertionError(e);
        }
    }

    private static Map<String, Value> run(Path file, Given given) throws OrtException, IOException {
        try (var options = new OrtSession.SessionOptions()) {
            options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
            Map<String, OnnxTensor> inputs = given.inputs();
            try (OrtSession session = RUNTIME.createSession(file.toString(), options);
                    OrtSession.Result result = session.run(inputs)) {
                var values = new LinkedHashMap<String, Value>();
                for (Map.Entry<String, OnnxValue> each : result) {
                    if (!(each.getValue() instanceof OnnxTensor tensor)
                            || tensor.getInfo().type == OnnxJavaType.STRING) {
                        throw new IllegalStateException(each.getKey() + " is no tensor of numbers");
                    }
                    ByteBuffer bytes = ByteBuffer.allocate(tensor.getByteBuffer().remaining());
                    bytes.put(tensor.getByteBuffer()).rewind();
                    values.put(
                            each.getKey(),
                            new Value(
                                    tensor.getInfo().getShape(),
                                    tensor.getInfo().type,
                                    bytes.order(ByteOrder.nativeOrder())));
                }
                return values;
            } finally {
                inputs.values().forEach(OnnxTensor::close);
            }
        }
    }

    private static Map<String, Value> runsOnLibtorch(LoweredModel lowered, Given given)
            throws IOException {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            var inputs = new LinkedHashMap<String, Tensor>();
            for (Map.Entry<String, OnnxTensor> input : given.inputs().entrySet()) {
                inputs.put(input.getKey(), libtorch(input.getValue()));
            }
            var values = new LinkedHashMap<String, Value>();
            lowered.run(inputs).forEach((name, tensor) -> values.put(name, value(tensor)));
            return values;
        } catch (OrtException e) {
            throw new AssertionError(e);
        }
    }

    private static Tensor libtorch(OnnxTensor tensor) {
        Tensor copy =
                Tensors.empty(
                        TYPES.entrySet().stream()
                                .filter(type -> type.getValue() == tensor.getInfo().type)
                                .map(Map.Entry::getKey)
                                .findFirst()
                                .orElseThrow(),
                        tensor.getInfo().getShape());
        Tensors.segment(copy).copyFrom(MemorySegment.ofBuffer(tensor.getByteBuffer()));
        return copy;
    }

    private static Value value(Tensor tensor) {
        byte[] bytes = Tensors.segment(tensor.contiguous()).toArray(ValueLayout.JAVA_BYTE);
        return new Value(
                Tensors.shape(tensor),
                requireNonNull(TYPES.get(Tensors.type(tensor))),
                ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder()));
    }

    private static Map<String, OnnxTensor> read(Path set, OnnxModel model)
            throws OrtException, IOException {
        var inputs = new LinkedHashMap<String, OnnxTensor>();
        int number = 0;
        for (ValueInfoProto input : model.graph().inputs()) {
            if (!input.getType().hasTensorType()) {
                throw new IllegalStateException(input.getName() + " is no tensor");
            }
            byte[] proto = Files.readAllBytes(set.resolve("input_" + number++ + ".pb"));
            inputs.put(input.getName(), tensor(TensorProto.parseFrom(proto)));
        }
        return inputs;
    }

    private static Map<String, OnnxTensor> random(OnnxModel model) throws OrtException {
        try (var loop = Inputs.random().batch(1).checkedFor(model).iterator()) {
            var inputs = new LinkedHashMap<String, OnnxTensor>();
            for (Map.Entry<String, Tensor> input : loop.next().entrySet()) {
                Value value = value(input.getValue());
                inputs.put(input.getKey(), tensor(value.bytes, value.shape, value.type));
            }
            return inputs;
        }
    }

    private static OnnxTensor tensor(TensorProto proto) throws OrtException {
        ConstantTensor constant = ConstantTensor.of(proto);
        ScalarType scalar = SCALARS.get(constant.type());
        if (scalar == null) {
            throw new IllegalStateException("an input of " + constant.type());
        }
        OnnxJavaType type = requireNonNull(TYPES.get(scalar));
        long[] shape = constant.shape().stream().mapToLong(Long::longValue).toArray();
        return tensor(constant.bytes().asByteBuffer(), shape, type);
    }

    private static OnnxTensor tensor(ByteBuffer bytes, long[] shape, OnnxJavaType type)
            throws OrtException {
        ByteBuffer direct = ByteBuffer.allocateDirect(bytes.remaining());
        direct.put(bytes).rewind();
        return OnnxTensor.createTensor(RUNTIME, direct.order(ByteOrder.nativeOrder()), shape, type);
    }

    /** The same names, types and shapes, and numbers within so much of the largest. */
    private static void assertSame(
            Map<String, Value> expected, Map<String, Value> found, double tolerance) {
        assertEquals(List.copyOf(expected.keySet()), List.copyOf(found.keySet()));
        expected.forEach((name, value) -> {
            Value other = found.get(name);
            assertEquals(value.type, other.type, name);
            assertArrayEquals(value.shape, other.shape, name);
            if (!REAL.contains(value.type) || tolerance == 0) {
                assertEquals(value.bytes, other.bytes, name);
                return;
            }
            double part = value.type.size == Short.BYTES ? OF_HALVES : tolerance;
            double[] wanted = numbers(value);
            double largest = 1;
            for (double each : wanted) {
                largest = Double.isFinite(each) ? Math.max(largest, Math.abs(each)) : largest;
            }
            assertArrayEquals(wanted, numbers(other), part * largest, name);
        });
    }

    private static double[] numbers(Value value) {
        ByteBuffer bytes = value.bytes;
        return IntStream.range(0, bytes.remaining() / value.type.size)
                .mapToDouble(i ->
                        switch (value.type) {
                            case FLOAT -> bytes.getFloat(i * Float.BYTES);
                            case FLOAT16 -> Float.float16ToFloat(bytes.getShort(i * Short.BYTES));
                            case BFLOAT16 ->
                                    Float.intBitsToFloat(bytes.getShort(i * Short.BYTES) << 16);
                            default -> bytes.getDouble(i * Double.BYTES);
                        })
                .toArray();
    }
}
