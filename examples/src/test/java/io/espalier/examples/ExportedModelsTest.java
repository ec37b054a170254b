package io.espalier.examples;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import static java.util.Objects.requireNonNull;

import io.espalier.demo.DigitNet;
import io.espalier.nn.Module;
import io.espalier.onnx.export.OnnxExport;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Stream;

@DisplayName("ONNX Runtime gives what Java does")
class ExportedModelsTest {
    private static final Path FOLDER = Path.of("").toAbsolutePath();
    private static final double CLOSE = 1e-4;

    /** Of the largest result, where a model of integers gives floats. */
    private static final double STEP = 0.01;

    /** Forms that have no kernel, by program and network. */
    private static final Map<String, Set<Form>> REFUSED =
            Map.of(
                    "FuseModules.SimpleCnn", Set.of(Form.DYNAMIC),
                    "QuantizedGraph.Residual", Set.of(Form.CONVERTED, Form.TRAINED_FOR_INTEGERS),
                    "RewriteGraph.Net", Set.of(Form.CONVERTED, Form.TRAINED_FOR_INTEGERS));

    @TestFactory
    @DisplayName("for every network of the examples, in each form")
    List<DynamicContainer> examples(@TempDir Path classes) throws IOException {
        List<DynamicContainer> all = new ArrayList<>();
        for (Path folder : List.of(FOLDER, FOLDER.resolve("papers"))) {
            for (SourceProgram program : programs(folder, classes)) {
                program.compile();
                List<DynamicTest> tests = tests(program);
                assertFalse(tests.isEmpty(), program.name() + " has a network that nobody finds");
                all.add(DynamicContainer.dynamicContainer(program.name(), tests));
            }
        }
        return all;
    }

    @TestFactory
    @DisplayName("for the network of the demo, in each form")
    List<DynamicTest> demo() {
        return tests("DigitNet", DigitNet::new);
    }

    /** Those that have a network. */
    private static List<SourceProgram> programs(Path folder, Path classes) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            List<SourceProgram> programs = new ArrayList<>();
            for (Path file : files.filter(f -> f.toString().endsWith(".java")).sorted().toList()) {
                String source = Files.readString(file);
                if (source.contains("extends Module") || source.contains("new Sequential(")) {
                    programs.add(new SourceProgram(file, classes));
                }
            }
            return programs;
        }
    }

    private static List<DynamicTest> tests(SourceProgram program) {
        List<DynamicTest> tests = new ArrayList<>();
        Class<?> main = program.load();
        for (Method method : main.getDeclaredMethods()) {
            if (Module.class.isAssignableFrom(method.getReturnType())
                    && method.getParameterCount() == 0) {
                method.setAccessible(true);
                tests.addAll(
                        tests(
                                program.name() + "." + method.getName(),
                                () -> (Module) method.invoke(made(main))));
            }
        }
        for (Class<?> type : main.getDeclaredClasses()) {
            if (Module.class.isAssignableFrom(type)
                    && !Modifier.isAbstract(type.getModifiers())
                    && hasNoParameters(type)) {
                tests.addAll(
                        tests(
                                program.name() + "." + type.getSimpleName(),
                                () -> (Module) made(type)));
            }
        }
        return tests;
    }

    private static boolean hasNoParameters(Class<?> type) {
        return Arrays.stream(type.getDeclaredConstructors())
                .anyMatch(constructor -> constructor.getParameterCount() == 0);
    }

    private static Object made(Class<?> type) throws ReflectiveOperationException {
        Constructor<?> constructor = type.getDeclaredConstructor();
        constructor.setAccessible(true);
        return constructor.newInstance();
    }

    private static List<DynamicTest> tests(String name, Callable<Module> maker) {
        return Arrays.stream(Form.values())
                .map(form ->
                        DynamicTest.dynamicTest(
                                name + " " + form,
                                () -> {
                                    if (REFUSED.getOrDefault(name, Set.of()).contains(form)) {
                                        assertThrows(
                                                EspalierException.class,
                                                () -> assertSame(form, maker));
                                    } else {
                                        assertSame(form, maker);
                                    }
                                }))
                .toList();
    }

    private static void assertSame(Form form, Callable<Module> maker) throws Exception {
        try (var scope = new PointerScope()) {
            Libtorch.seed(2);
            Module model = maker.call();
            model.eval();
            Tensor input = taken(model);
            Module changed = form.of(model, input);
            OnnxModel file = OnnxExport.of(changed, input);
            try (var session = OnnxSession.open(file, s -> s.threads(1));
                    var noGrad = new NoGradGuard()) {
                OnnxGraph graph = file.graph();
                Map<String, Tensor> results =
                        session.run(Map.of(graph.inputs().getFirst().getName(), input));
                Tensor given = requireNonNull(results.get(graph.outputs().getFirst().getName()));
                Tensor expected = changed.call(input);
                Tensor floats = expected.is_quantized() ? expected.dequantize() : expected;
                assertArrayEquals(Tensors.shape(floats), Tensors.shape(given));
                double apart = floats.sub(given).abs().max().item_double();
                double largest = floats.abs().max().item_double();
                double step = form.isExact() ? CLOSE * Math.max(1, largest) : step(graph, largest);
                double most = form.steps * step;
                assertTrue(apart <= most, () -> "apart by %f of %f".formatted(apart, most));
            }
        }
    }

    /** One step of the last rounding, if there is one. */
    private static double step(OnnxGraph graph, double largest) {
        OnnxNode last = requireNonNull(graph.producer(graph.outputs().getFirst().getName()));
        return last.is("DequantizeLinear")
                ? 1.01 * requireNonNull(graph.constant(last.input(1))).toFloats()[0]
                : STEP * largest;
    }

    /** What a model takes: the first that it does not refuse of what examples give. */
    private static Tensor taken(Module model) {
        List<Tensor> inputs =
                List.of(
                        Tensors.rand(8, 1, 28, 28),
                        Tensors.randn(8, 3, 16, 16),
                        Tensors.randn(8, 16, 64),
                        Tensors.randn(8, 20, 32),
                        Tensors.randn(32, 10),
                        Tensors.randn(32, 4),
                        Tensors.randn(32, 1),
                        Tensors.of(new long[8 * 12], 8, 12));
        for (Tensor input : inputs) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                model.call(input);
                return input;
            } catch (RuntimeException e) {
                // takes something else
            }
        }
        throw new AssertionError("nothing that examples give is taken by " + model);
    }
}
