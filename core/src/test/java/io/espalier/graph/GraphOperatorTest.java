package io.espalier.graph;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.Node.OperatorCall;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operators;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.constantpool.PoolEntry;
import java.lang.classfile.constantpool.StringEntry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;

@DisplayName("The table of operators")
class GraphOperatorTest {
    private static final Value X = new Value("x");
    private static final Value Y = new Value("y");

    /** Every operator's name in the classes of the layers; a \1 stands for what is put in. */
    private static Set<String> recordedNames() throws Exception {
        Path classes =
                Path.of(Module.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        Set<String> names = new TreeSet<>();
        try (Stream<Path> files =
                Files.list(classes.resolve(Module.class.getPackageName().replace('.', '/')))) {
            for (Path file : files.filter(f -> f.toString().endsWith(".class")).toList()) {
                for (PoolEntry entry : ClassFile.of().parse(file).constantPool()) {
                    if (entry instanceof StringEntry text
                            && text.stringValue().startsWith("aten::")) {
                        names.add(text.stringValue());
                    }
                }
            }
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        return names;
    }

    @Test
    @DisplayName("has each operator that the layers' functions record")
    void completeness() throws Exception {
        List<String> missing = new ArrayList<>();
        Set<String> names = recordedNames();
        for (String name : names) {
            var pattern = Pattern.compile(Pattern.quote(name).replace("\1", "\\E.*\\Q"));
            if (Arrays.stream(GraphOperator.values())
                    .noneMatch(operator -> pattern.matcher(operator.libtorch()).matches())) {
                missing.add(name);
            }
        }

        assertEquals(List.of(), missing);
        assertTrue(names.size() > 40, names.toString());
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("follows the order and the results of libtorch's schema")
    void schemas(GraphOperator operator) {
        String schema = Operators.find(operator.libtorch()).schema();

        List<String> parameters =
                Stream.of(
                                schema.substring(
                                                schema.indexOf('(') + 1,
                                                schema.lastIndexOf(" -> ") - 1)
                                        .split(", (?=[A-Za-z*])"))
                        .filter(text -> !text.equals("*"))
                        .toList();
        String results = schema.substring(schema.lastIndexOf(" -> ") + 4);
        int given = results.startsWith("(") ? results.split(",").length : 1;

        assertEquals(operator.results().isEmpty(), results.contains("[]"), schema);
        operator.results().ifPresent(number -> assertEquals(number, given, schema));
        for (int i = 0; i < operator.arguments().size(); i++) {
            String parameter = parameters.get(i);
            String type = parameter.substring(0, parameter.indexOf(' '));
            String name = parameter.substring(type.length() + 1).replaceAll("=.*", "");
            switch (operator.arguments().get(i)) {
                case Argument.Operand operand -> {
                    assertTrue(type.startsWith("Tensor"), schema);
                    assertEquals(
                            operand.arity() == Argument.Arity.LIST, type.contains("[]"), schema);
                    assertEquals(
                            operand.arity() == Argument.Arity.OPTIONAL, type.endsWith("?"), schema);
                }
                case Argument.Attribute attribute -> {
                    assertFalse(type.startsWith("Tensor"), schema);
                    if (!Set.of("add_scalar", "mul_scalar", "reshape").contains(operator + "")) {
                        assertEquals(name, attribute.name(), schema);
                    }
                }
                case Argument.Fixed fixed -> assertFalse(type.startsWith("Tensor"), schema);
            }
        }
    }

    @Test
    @DisplayName("leaves out what a call takes as a matter of course, and answers for it")
    void standards() {
        var call =
                new OperatorCall(
                        GraphOperator.CONV2D,
                        List.of(X, Y),
                        Map.of("stride", new long[] {2, 2}, "groups", 1),
                        new Value("conv"));

        assertEquals("conv = conv2d(x, y, stride=[2, 2])", call.toString());
        assertEquals(Map.of("stride", List.of(2L, 2L)), call.attributes());
        assertEquals(List.of(1L, 1L), call.integers("dilation"));
        assertEquals(1, call.integer("groups"));
        assertTrue(call.operand("bias").isEmpty());
    }

    @Test
    @DisplayName("prints an operand by its name where one before it is not given")
    void namedOperands() {
        List<Value> operands = new ArrayList<>(Arrays.asList(X, null, Y));

        var call =
                new OperatorCall(
                        GraphOperator.LAYER_NORM,
                        operands,
                        Map.of("normalized_shape", List.of(4L), "eps", 0.1),
                        new Value("norm"));

        assertEquals(
                "norm = layer_norm(x, bias=y, normalized_shape=[4], eps=0.1)", call.toString());
        assertEquals(List.of(X, Y), call.inputs());
    }

    @Test
    @DisplayName("refuses operands, attributes and results that an operator does not have")
    void wrongCalls() {
        assertEquals(
                "linear takes x, weight, bias?; it was given [x].",
                messageOf(() -> new OperatorCall(GraphOperator.LINEAR, X, Y)));
        assertEquals(
                "softmax needs its attribute 'dim'.",
                messageOf(() -> new OperatorCall(GraphOperator.SOFTMAX, X, Y)));
        assertEquals(
                "softmax takes LONG as its attribute 'dim'; it was given 0.5.",
                messageOf(() ->
                        new OperatorCall(
                                GraphOperator.SOFTMAX, List.of(X), Map.of("dim", 0.5), Y)));
        assertEquals(
                "relu has no attribute 'slope'; it has: .",
                messageOf(() ->
                        new OperatorCall(GraphOperator.RELU, List.of(X), Map.of("slope", 1), Y)));
        assertEquals(
                "max has 2 results; the graph names [y].",
                messageOf(() ->
                        new OperatorCall(GraphOperator.MAX, List.of(X), Map.of("dim", 1), Y)));
        assertEquals(
                "cat takes one tensor or more; it was given [].",
                messageOf(
                        () -> new OperatorCall(GraphOperator.CAT, List.of(), Map.of("dim", 1), Y)));
        assertTrue(
                messageOf(() -> LibtorchBinding.recorded("aten::digamma", List.of(X), List.of(Y)))
                        .contains("no operator for libtorch's aten::digamma"));
    }

    @Test
    @DisplayName("is found by the name that a graph prints")
    void names() throws EspalierException {
        for (GraphOperator operator : GraphOperator.values()) {
            assertEquals(operator, GraphOperator.of(operator.toString()));
        }
        assertTrue(
                messageOf(() -> GraphOperator.of("digamma")).startsWith("A graph has no operator"));
    }
}
