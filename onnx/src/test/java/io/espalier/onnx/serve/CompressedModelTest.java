package io.espalier.onnx.serve;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import static java.util.Objects.requireNonNull;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Linear;
import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.lower.LoweredFile;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.ModelRuntime;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

@DisplayName("A compressed model in a program")
class CompressedModelTest {
    private static final float CLOSE = 1e-4f;

    @TempDir Path folder;
    private Path file;

    @BeforeEach
    void write() {
        file = folder.resolve("model.onnx");
        classifier().save(file);
    }

    private static OnnxModel classifier() {
        return TestGraphs.opset(17)
                .input("image.1: Float[N, 3, 8, 8]")
                .weight("w", 8, 3, 3, 3)
                .weight("v", 128, 4)
                .node(
                        "c = Conv(image.1, w)",
                        node ->
                                node.with("strides", List.of(2L, 2L))
                                        .with("pads", List.of(1L, 1L, 1L, 1L)))
                .node("h = HardSwish(c)")
                .node("f = Flatten(h)")
                .node("scores.1 = MatMul(f, v)")
                .output("scores.1: Float[N, 4]")
                .build();
    }

    private static float[] run(CompressedModel model, Tensor image) {
        try (var scope = new PointerScope()) {
            return Tensors.floats(
                    requireNonNull(model.run(Map.of("image.1", image)).get("scores.1")));
        }
    }

    private static GraphModule quantized(LoweredModel lowered) {
        lowered.module().qconfig(QConfig.forBackend("onednn"));
        GraphModule prepared = GraphQuantization.prepare(lowered.module());
        prepared.call(Tensors.randn(16, 3, 8, 8));
        return GraphQuantization.convert(prepared);
    }

    @Test
    @DisplayName("gives the same on either runtime, and says what it takes and gives")
    void eitherRuntime() {
        Tensor image = Tensors.randn(2, 3, 8, 8);
        try (var first = CompressedModel.load(file);
                var second = CompressedModel.load(file, s -> s.runtime(ModelRuntime.LIBTORCH))) {
            assertEquals(ModelRuntime.ONNX_RUNTIME, first.runtime());
            assertEquals(ModelRuntime.LIBTORCH, second.runtime());
            assertArrayEquals(run(first, image), run(second, image), CLOSE);
            assertEquals("[image.1: float [N, 3, 8, 8]]", first.inputs().toString());
            assertEquals("[scores.1: float [N, 4]]", second.outputs().toString());
        }
    }

    @Test
    @DisplayName("takes and gives numbers in Java's memory")
    void plainNumbers() {
        Tensor image = Tensors.randn(1, 3, 8, 8);
        try (var model = CompressedModel.load(file)) {
            NumberArray scores = model.run(NumberArray.of(Tensors.floats(image), 1, 3, 8, 8));

            assertArrayEquals(new long[] {1, 4}, scores.shape());
            assertArrayEquals(run(model, image), scores.floats(), CLOSE);
        }
    }

    @Test
    @DisplayName("takes integers, and converts them where they fit")
    void integers() {
        Path words = folder.resolve("words.onnx");
        TestGraphs.opset(17)
                .input("ids: Int32[N, L]")
                .weight("table", 10, 3)
                .node("y = Gather(table, ids)")
                .output("y: Float[N, L, 3]")
                .build()
                .save(words);
        try (var model = CompressedModel.load(words)) {
            Map<String, NumberArray> ids = Map.of("ids", NumberArray.of(new long[] {1, 9}, 1, 2));

            assertArrayEquals(
                    new long[] {1, 2, 3}, requireNonNull(model.runArrays(ids).get("y")).shape());
        }
    }

    @Test
    @DisplayName("runs a graph that was saved quantized, by the names of the file it came from")
    void savedGraph() {
        OnnxModel original = classifier();
        LoweredModel lowered = Lowering.lower(original);
        Path saved = folder.resolve("model.safetensors");
        LoweredModel small = lowered.with(quantized(lowered));
        LoweredFile.of(original, small).save(saved);
        Tensor image = Tensors.randn(2, 3, 8, 8);
        try (var model = CompressedModel.load(saved)) {
            assertEquals(ModelRuntime.LIBTORCH, model.runtime());
            assertEquals("[image.1: float [N, 3, 8, 8]]", model.inputs().toString());
            assertEquals("[scores.1: float [N, 4]]", model.outputs().toString());
            assertArrayEquals(Tensors.floats(small.module().call(image)), run(model, image));
        }
    }

    @Test
    @DisplayName("runs a graph that a program saved without names")
    void savedWithoutNames() {
        Path saved = folder.resolve("graph.safetensors");
        GraphModule graph = quantized(Lowering.lower(classifier()));
        Quantization.save(graph, saved);
        Tensor image = Tensors.randn(2, 3, 8, 8);
        try (var model = CompressedModel.load(saved)) {
            Tensor scores = model.run(Map.of("image_1", image)).values().iterator().next();

            assertEquals("[image_1: float [N, 3, 8, 8]]", model.inputs().toString());
            assertArrayEquals(Tensors.floats(graph.call(image)), Tensors.floats(scores));
        }
    }

    @ParameterizedTest
    @EnumSource(ModelRuntime.class)
    @DisplayName("gives each of many threads its own results")
    void manyThreads(ModelRuntime runtime) throws InterruptedException, ExecutionException {
        List<Tensor> images = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            images.add(Tensors.randn(1 + i % 3, 3, 8, 8));
        }
        try (var model = CompressedModel.load(file, s -> s.runtime(runtime));
                var threads = Executors.newFixedThreadPool(8)) {
            List<float[]> expected = images.stream().map(image -> run(model, image)).toList();
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                int own = i;
                all.add(
                        threads.submit(() -> {
                            for (int turn = 0; turn < 40; turn++) {
                                assertArrayEquals(
                                        expected.get(own), run(model, images.get(own)), CLOSE);
                            }
                        }));
            }
            for (Future<?> each : all) {
                each.get();
            }
        }
    }

    @ParameterizedTest
    @EnumSource(ModelRuntime.class)
    @EnabledOnOs(OS.LINUX)
    @DisplayName("keeps nothing of a thousand runs")
    void bounded(ModelRuntime runtime) throws IOException {
        Path large = folder.resolve("large.onnx");
        TestGraphs.opset(17)
                .input("x: Float[N, 4]")
                .weight("w", 4, 100_000)
                .node("y = MatMul(x, w)")
                .output("y: Float[N, 100000]")
                .build()
                .save(large);
        var x = NumberArray.of(new float[4], 1, 4);
        try (var model = CompressedModel.load(large, s -> s.runtime(runtime))) {
            for (int i = 0; i < 50; i++) {
                model.run(x);
            }
            long before = resident();
            for (int i = 0; i < 1000; i++) {
                model.run(x);
            }
            // The results alone are 400 MB in all; what Java's heap takes is not counted.
            assertTrue(resident() - before < 150_000_000, "grown by " + (resident() - before));
        }
    }

    /** The bytes that the process takes, without those of Java's heap. */
    private static long resident() throws IOException {
        long all =
                Files.readAllLines(Path.of("/proc/self/status")).stream()
                        .filter(line -> line.startsWith("VmRSS:"))
                        .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
                        .sum();
        return all - Runtime.getRuntime().totalMemory();
    }

    @Test
    @DisplayName("gives results of their own, though the graph passes its input on")
    void ownResults() {
        Path same = folder.resolve("same.onnx");
        TestGraphs.opset(17)
                .input("x: Float[2]")
                .node("y = Identity(x)")
                .output("y: Float[2]")
                .build()
                .save(same);
        try (var model = CompressedModel.load(same, s -> s.runtime(ModelRuntime.LIBTORCH))) {
            Tensor x = Tensors.of(1, 2);
            Tensor y = requireNonNull(model.run(Map.of("x", x)).get("y"));
            x.zero_();

            assertArrayEquals(new float[] {1, 2}, Tensors.floats(y));
        }
    }

    @Test
    @DisplayName("says in a sentence what it wants")
    void refusesCalls() {
        try (var model = CompressedModel.load(file)) {
            Tensor image = Tensors.randn(1, 3, 8, 8);
            assertRefused("image.1: float [N, 3, 8, 8]", () -> model.run(Map.of()));
            assertRefused(
                    "[1, 3, 9, 8]", () -> model.run(Map.of("image.1", Tensors.randn(1, 3, 9, 8))));
            assertRefused("[2, 3, 8]", () -> model.run(Map.of("image.1", Tensors.randn(2, 3, 8))));
            assertRefused(
                    "int64",
                    () -> model.run(Map.of("image.1", Tensors.of(new long[192], 1, 3, 8, 8))));
            assertRefused("other", () -> model.run(Map.of("image.1", image, "other", image)));
            assertRefused("make up the shape", () -> NumberArray.of(new float[5], 2, 3));
            model.close();
            assertRefused("closed", () -> model.run(Map.of("image.1", image)));
        }
    }

    @ParameterizedTest
    @EnumSource(ModelRuntime.class)
    @DisplayName("takes its only input by its name and in its type alone")
    void exactCalls(ModelRuntime runtime) {
        try (var model = CompressedModel.load(file, s -> s.runtime(runtime))) {
            Tensor image = Tensors.randn(1, 3, 8, 8);
            assertRefused(
                    "The call gives z: float [1, 3, 8, 8].", () -> model.run(Map.of("z", image)));
            assertRefused(
                    "The call gives image.1: double [1, 3, 8, 8].",
                    () -> model.run(Map.of("image.1", image.to(ScalarType.Double))));
            assertRefused(
                    "The call gives image.1: float16 [1, 3, 8, 8].",
                    () -> model.run(Map.of("image.1", image.to(ScalarType.Half))));
            NumberArray numbers = NumberArray.of(Tensors.floats(image), 1, 3, 8, 8);
            assertRefused("gives z: float", () -> model.runArrays(Map.of("z", numbers)));
        }
    }

    @Test
    @DisplayName("says in a sentence what is wrong with a file")
    void refusesFiles() throws IOException {
        Path text = Files.writeString(folder.resolve("text.onnx"), "Not a model at all.");
        Path tensors = folder.resolve("tensors.safetensors");
        SafeTensors.write(tensors, Map.of("weight", Tensors.ones(2)), Map.of());
        Path linear = folder.resolve("linear.safetensors");
        var layer = new Linear(2, 2);
        layer.save(linear);
        Path graph = folder.resolve("graph.safetensors");
        Quantization.save(quantized(Lowering.lower(classifier())), graph);

        assertRefused("text.onnx", () -> CompressedModel.load(text));
        assertRefused("none.onnx", () -> CompressedModel.load(folder.resolve("none.onnx")));
        assertRefused("not its program", () -> CompressedModel.load(tensors));
        assertRefused("not its program", () -> CompressedModel.load(linear));
        assertRefused(
                "which libtorch runs",
                () -> CompressedModel.load(graph, s -> s.runtime(ModelRuntime.ONNX_RUNTIME)));
        assertRefused("1 to 1024", () -> CompressedModel.load(file, s -> s.threads(0)));
    }

    @Test
    @DisplayName("says in a sentence that there is no memory for an input, and runs on")
    void noMemory() {
        Tensor far = Tensors.zeros(1, 1, 1, 1).expand(1L << 40, 3, 8, 8);
        try (var model = CompressedModel.load(file)) {
            var refused =
                    assertThrows(EspalierException.class, () -> model.run(Map.of("image.1", far)));

            assertEquals(
                    "The input 'image.1': there is no memory for 844424930131968 bytes",
                    refused.getMessage());
            assertEquals(4, run(model, Tensors.randn(1, 3, 8, 8)).length);
        }
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    @DisplayName("is not awaited from a pipe")
    void pipe() throws IOException, InterruptedException {
        Path pipe = folder.resolve("pipe");
        assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());

        assertRefused("it is not a file", () -> CompressedModel.load(pipe));
    }

    private static void assertRefused(String part, Runnable action) {
        var refused = assertThrows(EspalierException.class, action::run);
        assertTrue(String.valueOf(refused.getMessage()).contains(part), refused::getMessage);
    }

    @Test
    @DisplayName("makes booleans of 0 and 1, real numbers of integers, and refuses other numbers")
    void otherTypes() {
        Path mixed = folder.resolve("mixed.onnx");
        TestGraphs.opset(17)
                .input("mask: Bool[N]")
                .input("a: Double[N]")
                .input("b: Float16[N]")
                .node("c = Cast(a)", n -> n.with("to", 1))
                .node("d = Cast(b)", n -> n.with("to", 1))
                .node("y = Where(mask, c, d)")
                .output("y: Float[N]")
                .build()
                .save(mixed);
        NumberArray tens = NumberArray.of(new long[] {10, 20}, 2);
        NumberArray small = NumberArray.of(new float[] {1, 2}, 2);

        for (ModelRuntime runtime : ModelRuntime.values()) {
            try (var model = CompressedModel.load(mixed, s -> s.runtime(runtime))) {
                for (NumberArray mask :
                        List.of(
                                NumberArray.of(new long[] {0, 1}, 2),
                                NumberArray.of(new float[] {0, 1}, 2))) {
                    var results = model.runArrays(Map.of("mask", mask, "a", tens, "b", small));
                    assertArrayEquals(
                            new float[] {1, 20}, requireNonNull(results.get("y")).floats());
                    results = model.runArrays(Map.of("mask", mask, "a", small, "b", tens));
                    assertArrayEquals(
                            new float[] {10, 2}, requireNonNull(results.get("y")).floats());
                }
                NumberArray seven = NumberArray.of(new long[] {0, 7}, 2);
                var error =
                        assertThrows(
                                EspalierException.class,
                                () ->
                                        model.runArrays(
                                                Map.of("mask", seven, "a", tens, "b", small)));
                assertTrue(String.valueOf(error.getMessage()).contains("as 0 and 1"));
                NumberArray large = NumberArray.of(new long[] {0, 1 << 20}, 2);
                assertThrows(
                        EspalierException.class,
                        () -> model.runArrays(Map.of("mask", tens, "a", tens, "b", large)));
            }
        }
    }
}
