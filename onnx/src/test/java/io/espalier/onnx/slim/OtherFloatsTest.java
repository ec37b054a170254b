package io.espalier.onnx.slim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.half.HalfStorage;
import io.espalier.onnx.slim.SlimResult.Row;
import io.espalier.slim.Place;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

@DisplayName("Channels taken out of a file of floats of 16 or of 64 bits")
class OtherFloatsTest {
    private static final Inputs CALIBRATION = Inputs.random().size("N", 8).batch(8).limit(512);

    /** How a file may hold the numbers of a model of floats. */
    enum Kept {
        COMPUTED_IN_16_BITS(ElementType.FLOAT16),
        COMPUTED_IN_64_BITS(ElementType.DOUBLE),
        STORED_IN_16_BITS(ElementType.FLOAT16),
        STORED_TIMES_A_POWER_OF_TWO(ElementType.FLOAT16);

        private final ElementType type;

        Kept(ElementType type) {
            this.type = type;
        }

        /** Half of its channels say nothing that the others don't. */
        OnnxModel model() {
            return switch (this) {
                case COMPUTED_IN_16_BITS, COMPUTED_IN_64_BITS -> network(type, 1);
                case STORED_IN_16_BITS -> stored(network(ElementType.FLOAT, 1));
                case STORED_TIMES_A_POWER_OF_TWO -> stored(network(ElementType.FLOAT, 1e6f));
            };
        }
    }

    private static OnnxModel network(ElementType type, float scale) {
        ConstantTensor twins = SlimmingTest.twins(false, 64, 6);
        float[] values = twins.toFloats();
        for (int i = 0; i < values.length; i++) {
            values[i] *= scale;
        }
        return in(
                type,
                TestGraphs.opset(17)
                        .input("x: %s[N, 6]".formatted(type))
                        .constant("w1", ConstantTensor.floats(twins.shape(), values))
                        .node("h = MatMul(x, w1)")
                        .node("r = Relu(h)")
                        .weight("w2", 64, 5)
                        .weight("b2", 5)
                        .node("y = Gemm(r, w2, b2)")
                        .output("y"));
    }

    private static OnnxModel in(ElementType type, TestGraphs floats) {
        return floats.build()
                .rewritten(graph ->
                        List.copyOf(graph.constants().keySet())
                                .forEach(name -> graph.setConstant(name, as(type, graph, name))));
    }

    private static ConstantTensor as(ElementType type, OnnxGraph graph, String name) {
        ConstantTensor floats = Objects.requireNonNull(graph.constant(name));
        return ConstantTensor.of(floats.toTensor().to(type.libtorch()));
    }

    private static OnnxModel stored(OnnxModel floats) {
        return HalfStorage.of(floats, node -> true).model();
    }

    private static SlimResult half(OnnxModel model) {
        return OnnxSlimmer.of(model)
                .ratio(0.5)
                .importance(Importance.secondOrder(CALIBRATION))
                .run();
    }

    private static double drop(OnnxModel model, SlimResult slim) {
        return SlimResult.drop(model, slim.model(), CALIBRATION.shuffled(7));
    }

    private static List<Long> sizes(OnnxModel model, ElementType type) {
        return weights(model).filter(c -> c.type() == type).map(ConstantTensor::elements).toList();
    }

    /** What its constants are but for single numbers and biases. */
    private static Stream<ConstantTensor> weights(OnnxModel model) {
        return model.graph().constants().values().stream().filter(c -> c.shape().size() == 2);
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("are made up for, and what stays is stored as it was")
    void makesUp(Kept kept) {
        OnnxModel model = kept.model();

        SlimResult solved = half(model);

        assertEquals(List.of("second order"), solved.rows().stream().map(Row::by).toList());
        OnnxModel floats = network(ElementType.FLOAT, 1);
        assertEquals(drop(floats, half(floats)), drop(model, solved), 1e-3);
        assertEquals(List.of(6 * 32L, 32 * 5L), sizes(solved.model(), kept.type));
        assertEquals(2, weights(solved.model()).count());
        assertTrue(solved.model().byteSize() < model.byteSize());
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("are chosen by activations where that is asked for, from weights of the same name")
    void byActivations(Kept kept) {
        var slimmer = OnnxSlimmer.of(kept.model());
        Place place = slimmer.groups().all().getFirst().place();

        SlimResult result =
                slimmer.only(place.constant())
                        .ratio(0.5)
                        .importance(Importance.activation(CALIBRATION))
                        .run();

        Row row = result.rows().getFirst();
        assertEquals("activations", row.by());
        assertEquals(place, row.group().place());
    }

    @Test
    @DisplayName("are made up for by a bias of 16 bits where a convolution of 16 bits had none")
    void addsBiases() {
        OnnxModel model =
                in(
                        ElementType.FLOAT16,
                        TestGraphs.opset(17)
                                .input("x: FLOAT16[N, 3, 9, 9]")
                                .weight("w1", 8, 3, 1, 1)
                                .weight("b1", 8)
                                .node("c = Conv(x, w1, b1)")
                                .node("s = Sigmoid(c)")
                                .weight("w2", 4, 8, 1, 1)
                                .node("y = Conv(s, w2)")
                                .output("y"));

        OnnxModel slim = half(model).model();

        assertEquals(3, slim.graph().nodes().getLast().inputs().size());
        assertEquals(
                List.of(ElementType.FLOAT16),
                slim.graph().constants().values().stream()
                        .map(ConstantTensor::type)
                        .distinct()
                        .toList());
    }
}
