package io.espalier.graph;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Node.OperatorCall;
import io.espalier.graph.Node.StateRead;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;

@DisplayName("A graph as text for a file")
class GraphJsonTest {
    private static final Value X = new Value("x");

    /** One node of each kind, and attributes of each type. */
    private static Graph everything() {
        var weight = new Value("weight");
        var norm = new Value("norm");
        var layer = new Value("layer");
        var clamp = new Value("clamp");
        var up = new Value("up");
        var best = new Value("best");
        var place = new Value("place");
        return new Graph(
                List.of(X),
                List.of(
                        new StateRead("", "weight", weight),
                        new OperatorCall(
                                GraphOperator.LAYER_NORM,
                                new ArrayList<>(Arrays.asList(X, null, weight)),
                                Map.of("normalized_shape", List.of(4L), "eps", 2.0),
                                norm),
                        new ModuleCall("a.0", List.of(norm), layer),
                        new OperatorCall(
                                GraphOperator.CLAMP,
                                List.of(layer),
                                Map.of("min", Double.NEGATIVE_INFINITY, "max", Double.NaN),
                                clamp),
                        new OperatorCall(
                                GraphOperator.UPSAMPLE_BILINEAR2D,
                                List.of(clamp),
                                Map.of("align_corners", true, "scale_factors", List.of(2.0, 1.5)),
                                up),
                        new OperatorCall(
                                GraphOperator.MAX,
                                List.of(up),
                                Map.of("dim", -1),
                                List.of(best, place))),
                List.of(best, place));
    }

    @Test
    @DisplayName("reads back as the same graph, infinite numbers and NaN too")
    void roundTrip() {
        Graph graph = everything();

        Graph read = Graph.fromJson(graph.toJson());

        assertEquals(graph, read);
        assertEquals(graph.toString(), read.toString());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "null",
                "[]",
                "{}",
                "{\"version\":2}",
                "{\"version\":2,\"inputs\":[null],\"nodes\":[],\"outputs\":[]}",
                "{\"version\":2,\"inputs\":[\"x\"],\"nodes\":[null],\"outputs\":[]}",
                "{\"version\":2,\"inputs\":[\"x\"],\"nodes\":[{}],\"outputs\":[]}",
                "{\"version\":2,\"inputs\":[\"x\"],\"nodes\":[{\"module\":\"\","
                        + "\"operands\":[\"x\"],\"results\":[\"y\"]}],\"outputs\":[\"y\"]}",
                "{\"version\":2,\"inputs\":[\"x\"],\"nodes\":[{\"module\":\"a\","
                        + "\"operands\":[\"x\"],\"results\":[]}],\"outputs\":[\"x\"]}",
                "{\"version\":2,\"inputs\":[\"x\"],\"nodes\":[{\"operator\":\"relu\","
                        + "\"operands\":[\"y\"],\"results\":[\"y\"]}],\"outputs\":[\"x\"]}",
                "{\"version\":99999999999999999999,\"inputs\":[],\"nodes\":[],\"outputs\":[]}"
            })
    @DisplayName("is refused in one sentence where it is no graph")
    void damaged(String text) {
        assertTrue(messageOf(() -> Graph.fromJson(text)).endsWith("."), text);
    }

    @Test
    @DisplayName("of a later version is named as what it is")
    void version() {
        assertEquals(
                "A graph is described in version 3 of its form; this library reads version 2 and"
                        + " those before it.",
                messageOf(() -> Graph.fromJson(everything().toJson().replace(":2,", ":3,"))));
    }

    @Test
    @DisplayName("of the form without a version reads as the operators that it means")
    void firstForm() {
        String text =
                """
                {"inputs":["x"],"nodes":[
                {"module":"a.0","arguments":["x"],"results":["y"]},
                {"owner":"","name":"weight","arguments":[],"results":["w"]},
                {"function":"aten::linear","arguments":[{"value":"y"},{"value":"w"},null],
                 "results":["z"]},
                {"function":"aten::upsample_bilinear2d",
                 "arguments":[{"value":"z"},[4,4],true,null,null],"results":["u"]},
                {"function":"aten::cat","arguments":[[{"value":"u"},{"value":"u"}],1],
                 "results":["c"]}],
                "outputs":["c"]}\
                """;

        assertEquals(
                """
                graph(x):
                    y = self.a.0(x)
                    w = self.weight
                    z = linear(y, w)
                    u = upsample_bilinear2d(z, output_size=[4, 4], align_corners=true)
                    c = cat(u, u, dim=1)
                    return c\
                """,
                Graph.fromJson(text).toString());
    }

    @Test
    @DisplayName("with any byte changed is a graph or an error of ours, and nothing else")
    void fuzz() {
        String text = everything().toJson();
        var random = new Random(7);
        String pieces = "0123456789.-e{}[],:\"nulltrueNaN xy";
        for (int i = 0; i < 4000; i++) {
            var changed = new StringBuilder(text);
            for (int change = 0; change <= random.nextInt(3); change++) {
                int at = random.nextInt(changed.length());
                char piece = pieces.charAt(random.nextInt(pieces.length()));
                switch (random.nextInt(3)) {
                    case 0 -> changed.setCharAt(at, piece);
                    case 1 -> changed.insert(at, piece);
                    default -> changed.deleteCharAt(at);
                }
            }
            try {
                Graph.fromJson(changed.toString());
            } catch (EspalierException expected) {
                assertTrue(String.valueOf(expected.getMessage()).length() > 10);
            }
        }
    }
}
