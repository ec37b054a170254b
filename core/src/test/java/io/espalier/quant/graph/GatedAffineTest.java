package io.espalier.quant.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node.ModuleCall;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Module;
import io.espalier.quant.GraphQuantization;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;

class GatedAffineTest {
    private static final Tensor X = Tensors.randn(2, 3, 8, 8);

    @BeforeEach
    void seed() {
        Libtorch.seed(8);
    }

    /** A convolution, a scale and a shift, squeeze and excitation, a convolution. */
    private static final class Net extends Module {
        private final Conv2d first = add("first", new Conv2d(3, 8, 3));
        private final BatchNorm2d affine = add("affine", new BatchNorm2d(8));
        private final Conv2d squeeze = add("squeeze", new Conv2d(8, 8, 1));
        private final Conv2d last = add("last", new Conv2d(8, 4, 1));
        private final boolean gated;

        Net(boolean gated) {
            this.gated = gated;
        }

        @Override
        protected Tensor forward(Tensor input) {
            Tensor x = affine.call(Functional.hardswish(first.call(input)));
            Tensor gate = squeeze.call(Functional.adaptiveAvgPool2d(x, 1, 1));
            return last.call(Functional.mul(x, gated ? Functional.hardsigmoid(gate) : x));
        }

        Net affine(float scale, float shift) {
            try (var noGrad = new NoGradGuard()) {
                affine.value("weight").fill_(new Scalar(scale));
                affine.value("bias").fill_(new Scalar(shift));
            }
            return this;
        }
    }

    private static GraphModule reference(Module model) {
        model.eval();
        GraphModule traced = GraphModule.trace(model, X);
        traced.qconfig(QConfig.forBackend("onednn"));
        GraphModule prepared = GraphQuantization.prepare(traced);
        prepared.call(X);
        return GraphQuantization.convertToReference(prepared);
    }

    private static long count(GraphModule lowered, GraphOperator operator) {
        return lowered.graph().nodes().stream().filter(node -> node.calls(operator)).count();
    }

    private static String inputOf(GraphModule lowered, String path) {
        return lowered.graph().nodes().stream()
                .filter(node -> node instanceof ModuleCall call && call.path().equals(path))
                .map(node -> node.inputs().getFirst().name())
                .findFirst()
                .orElse("nothing");
    }

    @Test
    @DisplayName("computes a scale and a shift of the average and of the gate alone, and the same")
    void moves(@TempDir Path folder) {
        GraphModule reference = reference(new Net(true).affine(1.7f, -0.4f));
        GraphModule lowered = GraphQuantization.lower(reference);

        assertEquals(1, count(lowered, GraphOperator.ADDCMUL), lowered.graph()::toString);
        assertEquals(0, count(lowered, GraphOperator.MUL), lowered.graph()::toString);
        assertEquals("nothing", inputOf(lowered, "affine"), lowered.graph()::toString);
        Tensor expected = reference.call(X);
        Tensor found = lowered.call(X);
        assertTrue(GraphNetworks.decibels(expected, found) > 35, lowered.graph()::toString);
        Path file = folder.resolve("gated.safetensors");
        Quantization.save(lowered, file);
        assertTrue(Tensors.equal(found, Quantization.loadGraph(file).call(X)));
    }

    @Test
    @DisplayName("stays where channels differ, or others than averages and gates read it")
    void stays() {
        var uneven = new Net(true).affine(1, 0);
        try (var noGrad = new NoGradGuard()) {
            uneven.affine.value("bias").copy_(Tensors.randn(8));
        }
        for (Module model : new Module[] {uneven, new Net(false).affine(1.7f, -0.4f)}) {
            GraphModule lowered = GraphQuantization.lower(reference(model));

            assertEquals(0, count(lowered, GraphOperator.ADDCMUL), lowered.graph()::toString);
            assertEquals("first", inputOf(lowered, "affine"), lowered.graph()::toString);
        }
    }
}
