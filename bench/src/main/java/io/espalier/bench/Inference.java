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
import java.util.function.BiFunction;
import java.util.function.Consumer;

/** One network in floats, in integers layer by layer, and in integers by its graph. */
final class Inference {
    private final Module plain;
    private final Module eager;
    private final GraphModule graph;
    private final BareLoop bare;
    private final Tensor x;

    /**
     * Quantizes a network in eval mode for images of this shape.
     *
     * @param loop makes a loop over the kernels of the network fused in floats and in integers
     */
    Inference(Module network, BiFunction<Module, Module, BareLoop> loop, long... shape) {
        plain = network;
        x = Tensors.randn(shape);
        graph = Quantization.quantize(network, x, List.of(x));
        eager = network.copy();
        Quantization.fuse(eager, x);
        Module fused = eager.copy();
        eager.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(eager);
        run(eager::call);
        Quantization.convert(eager);
        bare = loop.apply(fused, eager);
        requireSame();
    }

    private void requireSame() {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            if (!Tensors.equal(eager.call(x), bare.run(x))) {
                throw new IllegalStateException("The bare loop computes something else.");
            }
        }
    }

    /** In floats. */
    void plain() {
        run(plain::call);
    }

    /** In integers, by the network's own code. */
    void eager() {
        run(eager::call);
    }

    /** In integers, by the graph. */
    void graph() {
        run(graph::call);
    }

    /** In integers, by the kernels of the network's own code and nothing else. */
    void bare() {
        run(bare::run);
    }

    private void run(Consumer<Tensor> network) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            network.accept(x);
        }
    }
}
