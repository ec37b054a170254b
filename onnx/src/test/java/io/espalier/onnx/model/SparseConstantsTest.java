package io.espalier.onnx.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.SparseTensorProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

@DisplayName("Constants that are mostly zeros")
class SparseConstantsTest {
    @TempDir Path folder;

    /** Floats of which one in ten is left. */
    private static ConstantTensor sparse(long... extents) {
        List<Long> shape = Shape.of(extents);
        float[] values = new float[(int) Shape.elements(shape)];
        for (int i = 0; i < values.length; i += 10) {
            values[i] = (float) Math.sin(i + 1) / 4;
        }
        return ConstantTensor.floats(shape, values);
    }

    private static ConstantTensor halves(long... extents) {
        float[] floats = sparse(extents).toFloats();
        short[] bits = new short[floats.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = Float.floatToFloat16(floats[i]);
        }
        return ConstantTensor.halves(Shape.of(extents), bits);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "y = Conv(x, w)|2, 8, 9, 9|16, 8, 3, 3",
                "y = ConvTranspose(x, w)|2, 8, 5, 5|8, 12, 3, 3",
                "y = MatMul(x, w)|3, 24|24, 30",
                "y = Gemm(x, w)|3, 24|24, 30",
                "y = Add(x, w)|20, 30|20, 30",
                "y = PRelu(x, w)|20, 30|20, 30",
                "y = LSTM(x, w, r)|4, 2, 6|1, 80, 6",
                "y = GRU(x, w, r)|4, 2, 6|1, 60, 6",
            })
    @DisplayName("are run by ONNX Runtime as those that are stored whole, in whatever operator")
    void run(String call, String input, String weight) {
        TestGraphs graph =
                TestGraphs.opset(17)
                        .input("x: Float[" + input + "]")
                        .constant("w", sparse(extents(weight)));
        long units = 20;
        int gates = call.contains("LSTM") ? 4 : 3;
        if (call.contains(", r)")) {
            graph.constant("r", sparse(1, gates * units, units));
            graph.node(call, node -> node.with("hidden_size", units));
        } else {
            graph.node(call);
        }
        OnnxModel dense = graph.output("y").build();
        OnnxModel sparse = dense.storedSparse(true);
        assertTrue(sparse.toProto().getGraph().getSparseInitializerCount() > 0);
        Libtorch.seed(1);
        Map<String, Tensor> x = Map.of("x", Tensors.randn(extents(input)));
        try (var one = OnnxSession.open(dense);
                var other = OnnxSession.open(sparse)) {
            Tensor wanted = Objects.requireNonNull(one.run(x).get("y"));
            assertTrue(Tensors.equal(wanted, Objects.requireNonNull(other.run(x).get("y"))));
            assertFalse(wanted.eq(wanted.narrow(0, 0, 1)).all().item_bool());
        }
    }

    private static long[] extents(String text) {
        return Arrays.stream(text.split(", ", -1)).mapToLong(Long::parseLong).toArray();
    }

    private static OnnxModel model() {
        byte[] codes = new byte[4096];
        for (int i = 0; i < codes.length; i += 40) {
            codes[i] = (byte) (i + 1);
        }
        return TestGraphs.opset(17)
                .input("x: Float[3, 60]")
                .constant("w", sparse(60, 50))
                .constant("h", halves(40, 50))
                .constant("q", ConstantTensor.bytes(ElementType.INT8, List.of(64L, 64L), codes))
                .constant("full", ConstantTensor.floats(List.of(50L), new float[50]))
                .node("a = MatMul(x, w)")
                .node("y = Add(a, full)")
                .node("k = Cast(h)", node -> node.with("to", 1L))
                .node("z = Cast(q)", node -> node.with("to", 1L))
                .output("y")
                .output("k")
                .output("z")
                .build();
    }

    @Test
    @DisplayName("take less of a file, and are ordinary constants when it is read")
    void file() throws IOException {
        OnnxModel model = model();
        Path whole = folder.resolve("whole.onnx");
        Path small = folder.resolve("small.onnx");
        model.save(whole);
        model.storedSparse(true).save(small);
        assertTrue(Files.size(small) * 2 < Files.size(whole));

        OnnxModel again = OnnxModel.load(small);
        assertTrue(again.isStoredSparse());
        assertFalse(OnnxModel.load(whole).isStoredSparse());
        for (String name : List.of("w", "h", "q", "full")) {
            ConstantTensor wanted = Objects.requireNonNull(model.graph().constant(name));
            ConstantTensor got = Objects.requireNonNull(again.graph().constant(name));
            assertEquals(wanted.toString(), got.toString());
            assertArrayEquals(
                    wanted.bytes().toArray(ValueLayout.JAVA_BYTE),
                    got.bytes().toArray(ValueLayout.JAVA_BYTE));
        }
        try (var session = OnnxSession.open(again)) {
            assertEquals(3, session.run(Map.of("x", Tensors.randn(3, 60))).size());
        }

        again.save(whole);
        assertArrayEquals(Files.readAllBytes(small), Files.readAllBytes(whole));
        again.storedSparse(false).save(whole);
        assertFalse(OnnxModel.load(whole).isStoredSparse());
    }

    @Test
    @DisplayName("that say where each element is in every dimension are read too")
    void places() {
        var sparse =
                SparseTensorProto.newBuilder()
                        .addAllDims(List.of(3L, 4L))
                        .setValues(ConstantTensor.floats(List.of(2L), 5, 7).toProto("w"))
                        .setIndices(ConstantTensor.longs(List.of(2L, 2L), 0, 3, 2, 1).toProto(""));
        ConstantTensor w = Objects.requireNonNull(OnnxModel.of(with(sparse)).graph().constant("w"));
        assertArrayEquals(new float[] {0, 0, 0, 5, 0, 0, 0, 0, 0, 7, 0, 0}, w.toFloats());
    }

    private static ModelProto with(SparseTensorProto.Builder sparse) {
        ModelProto.Builder model =
                TestGraphs.opset(17)
                        .input("x: Float[3, 4]")
                        .weight("v", 3, 4)
                        .node("y = Add(x, v)")
                        .output("y")
                        .build()
                        .toProto()
                        .toBuilder();
        model.getGraphBuilder().addSparseInitializer(sparse);
        return model.build();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "3, 4|1, 1|2|not in order",
                "3, 4|5, 1|2|not in order",
                "3, 4|1, 12|2|outside",
                "3, 4|-1, 2|2|outside",
                "3, 4|1, 2, 3|2|it has INT64 [3] for FLOAT [2]",
                "100000, 1000|1, 2|2|more memory than such a file does",
                "100000, 100000|1, 2|2|are not stored so",
                "4294967296, 4294967296, 4294967296|1, 2|2|can be counted",
                "3, -4|1, 2|2|not possible",
            })
    @DisplayName("that contradict themselves or claim too much memory are one error")
    void hostile(String dims, String indices, int values, String reason) {
        TensorProto stored =
                ConstantTensor.floats(List.of((long) values), new float[values]).toProto("w");
        long[] numbers = extents(indices);
        var sparse =
                SparseTensorProto.newBuilder()
                        .setValues(stored)
                        .setIndices(
                                ConstantTensor.longs(List.of((long) numbers.length), numbers)
                                        .toProto(""));
        Arrays.stream(extents(dims)).forEach(sparse::addDims);
        var error = assertThrows(EspalierException.class, () -> OnnxModel.of(with(sparse)));
        String message = String.valueOf(error.getMessage());
        assertTrue(message.startsWith("The sparse constant 'w' can't be read"), message);
        assertTrue(message.contains(reason), message);
    }
}
