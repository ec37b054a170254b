package io.espalier.bench;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** One network in floats, in integers layer by layer, and in integers by its graph. */
final class Inference {
    private final Module plain;
    private final Module eager;
    private final GraphModule graph;
    private final Tensor x;

    /** Quantizes a network in eval mode for images of this shape. */
    Inference(Module network, long... shape) {
        plain = network;
        x = Tensors.randn(shape);
        graph = Quantization.quantize(network, x, List.of(x));
        eager = network.copy();
        Quantization.fuse(eager, x);
        eager.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(eager);
        run(eager);
        Quantization.convert(eager);
    }

    /** In floats. */
    void plain() {
        run(plain);
    }

    /** In integers, by the network's own code. */
    void eager() {
        run(eager);
    }

    /** In integers, by the graph. */
    void graph() {
        run(graph);
    }

    private void run(Module model) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            model.call(x);
        }
    }
}
