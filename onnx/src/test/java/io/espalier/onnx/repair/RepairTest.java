package io.espalier.onnx.repair;

import static io.espalier.onnx.repair.Results.assertSame;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.RealModels;
import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.OperatorSetIdProto;
import io.espalier.tensor.EspalierException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

@DisplayName("A repaired model")
class RepairTest {
    @Test
    @DisplayName("gives the same results as the one that it was made of, by each pass and by all")
    void sameResults() {
        var fired = new TreeSet<String>();
        for (long seed = 1; seed <= 40; seed++) {
            OnnxModel model = RandomGraphs.of(seed);
            Repaired repaired = Repair.run(model);

            fired.addAll(repaired.changes().keySet());
            assertSame(model, repaired.model(), 2, 4, 6, 6);
            assertTrue(
                    repaired.model().toProto().getSerializedSize()
                            <= model.toProto().getSerializedSize(),
                    "seed " + seed);
            Pass pass = Repair.all().get((int) (seed % Repair.all().size()));
            assertSame(model, pass.run(model), 2, 4, 6, 6);
        }
        assertEquals(
                "[affine-layout, common-subexpressions, fold-following, fold-preceding, gelu,"
                        + " hard-swish, no-operations, opset, shape-arithmetic,"
                        + " shared-constants]",
                fired.toString());
    }

    @Test
    @DisplayName("leaves the one that it was made of as it was, and has nothing left to repair")
    void settled() {
        for (long seed = 50; seed <= 60; seed++) {
            OnnxModel model = RandomGraphs.of(seed);
            var before = model.toProto();

            OnnxModel repaired = Repair.run(model).model();

            assertEquals(before, model.toProto());
            assertTrue(Repair.run(repaired).changes().isEmpty(), "seed " + seed);
        }
    }

    @Test
    @DisplayName(
            "has no Constant, no normalization after a convolution, and HardSwish, if it reads"
                    + " text")
    void ocr(@TempDir Path folder) throws IOException {
        Path file = RealModels.ocr(folder);
        OnnxModel model = OnnxModel.load(file);

        Repaired repaired = Repair.run(model);

        OnnxGraph graph = repaired.model().graph();
        assertEquals(28, repaired.changes().get("hard-swish"));
        assertEquals(5, repaired.changes().get("layer-normalization"));
        for (OnnxNode node : graph.nodes()) {
            assertFalse(node.is("Constant"), node.toString());
            if (node.is("BatchNormalization")) {
                OnnxNode before = graph.producer(node.input(0));
                assertTrue(before != null && before.is("HardSwish"), node.toString());
            }
        }
        assertEquals(38, graph.nodes().stream().filter(n -> n.is("Conv")).count());
        assertSame(model, repaired.model(), 1, 3, 48, 64);
        repaired.model().save(folder.resolve("repaired.onnx"));
        assertTrue(Files.size(folder.resolve("repaired.onnx")) <= Files.size(file));
    }

    @Test
    @DisplayName("of the oldest files has no weights left that nobody reads, and runs")
    void oldFiles() {
        var proto =
                TestGraphs.opset(9)
                        .input("x: Float[N, 3, 5, 5]")
                        .input("w: Float[4, 3, 3, 3]")
                        .input("s: Float[1]")
                        .weight("w", 4, 3, 3, 3)
                        .floats("s", 0.4f)
                        .node("c = Conv(x, w)")
                        .node("y = Mul(c, s)")
                        .output("y")
                        .build()
                        .toProto()
                        .toBuilder()
                        .setIrVersion(3)
                        .build();
        OnnxModel model = OnnxModel.of(proto);
        assertEquals(proto, model.toProto());

        OnnxModel repaired = Repair.run(model).model();

        assertEquals("Conv 1", Results.operators(repaired));
        assertEquals(1, repaired.graph().constants().size());
        assertEquals(2, repaired.toProto().getGraph().getInputCount());
        assertEquals(1, repaired.graph().inputs().size());
        assertSame(model, repaired, 2, 3, 5, 5);
    }

    @Test
    @DisplayName("says that it calls the runtime's operators, if it does")
    void runtimeOperators() {
        OnnxModel model =
                gelu(
                        TestGraphs.opset(17)
                                .input("x: Float[N, 4]")
                                .constant("half", ConstantTensor.scalar(0.5f))
                                .constant("one", ConstantTensor.scalar(1))
                                .constant("root", ConstantTensor.scalar((float) Math.sqrt(2))));
        assertEquals(Map.of("", 17L), model.opsets());

        OnnxModel repaired = Repair.run(model).model();

        assertEquals("Gelu 1", Results.operators(repaired));
        assertEquals(Map.of("", 17L, OnnxNode.MICROSOFT, 1L), repaired.opsets());
        assertSame(model, repaired, 3, 4);
    }

    private static OnnxModel gelu(TestGraphs graphs) {
        ModelProto proto =
                graphs.node("a = Div(x, root)")
                        .node("b = Erf(a)")
                        .node("c = Add(b, one)")
                        .node("d = Mul(x, c)")
                        .node("y = Mul(d, half)")
                        .output("y")
                        .build()
                        .toProto();
        return OnnxModel.of(proto.toBuilder().removeOpsetImport(1).build());
    }

    @Test
    @DisplayName("is the same one where its operators are of versions that aren't known")
    void unknownVersions() {
        for (long opset : new long[] {6, 24}) {
            OnnxModel model =
                    OnnxModel.of(
                            RandomGraphs.of(3).toProto().toBuilder()
                                    .setOpsetImport(
                                            0, OperatorSetIdProto.newBuilder().setVersion(opset))
                                    .build());

            assertTrue(Repair.run(model).changes().isEmpty());
            Repair.all().forEach(pass -> Results.assertUntouched(pass.name(), model));
        }
    }

    @Test
    @DisplayName("is made by passes that are asked for by name")
    void passes() {
        OnnxModel model = RandomGraphs.of(3);

        assertEquals(model.toProto(), Repair.run(model, List.of()).model().toProto());
        var error = assertThrows(EspalierException.class, () -> Repair.pass("polish"));
        assertTrue(String.valueOf(error.getMessage()).contains("'polish'"), error.getMessage());
        assertTrue(
                String.valueOf(error.getMessage()).contains("constant-folding"),
                error.getMessage());
    }
}
