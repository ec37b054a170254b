package io.espalier.quant.accuracy;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Convolution;
import io.espalier.nn.Hook;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.fusion.Folding;
import io.espalier.quant.layer.FusedChain;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Brings each channel's mean in a quantized graph back to the float model's, layer after layer in
 * the order of the program, so that each is fitted to what the quantized layers before it give:
 *
 * <pre>{@code
 * GraphModule reference = GraphQuantization.convertToReference(prepared); // calibrated
 * GraphModule corrected = SequentialCorrection.of(traced, images).apply(reference);
 * GraphModule quantized = GraphQuantization.lower(corrected);
 * }</pre>
 *
 * <p>Source: Nagel et al., <a href="https://arxiv.org/abs/1906.04721">Data-Free Quantization
 * Through Weight Equalization and Bias Correction</a>, 2019, section 4.2 and appendix D; the means
 * come from data.
 */
public final class SequentialCorrection {
    private static final String BIAS = "bias";

    private final List<Tensor> inputs;
    private final Map<String, Mean> floats = new LinkedHashMap<>();

    private SequentialCorrection(List<Tensor> inputs) {
        this.inputs = inputs;
    }

    /** The mean of each channel that a layer gives, over all rows seen. */
    private static final class Mean {
        private final double[] sums;
        private long rows;

        Mean(int channels) {
            sums = new double[channels];
        }

        void add(Tensor byChannel) {
            try (var scope = new PointerScope()) {
                float[] means = means(byChannel);
                for (int c = 0; c < sums.length; c++) {
                    sums[c] += means[c] * (double) byChannel.size(0);
                }
                rows += byChannel.size(0);
            }
        }

        float[] lacking(Tensor byChannel) {
            float[] lacking = means(byChannel);
            for (int c = 0; c < lacking.length; c++) {
                lacking[c] = (float) (sums[c] / rows - lacking[c]);
            }
            return lacking;
        }

        private static float[] means(Tensor byChannel) {
            return Tensors.floats(byChannel.to(ScalarType.Double).mean(new long[] {0}));
        }
    }

    /**
     * Runs a float graph and notes what its layers give.
     *
     * @param floats the graph before it was prepared, or prepared; it stays as it is
     * @param inputs one call's, with as many examples as memory allows; they must live as long as
     *     this
     */
    public static SequentialCorrection of(GraphModule floats, Tensor... inputs) {
        var correction = new SequentialCorrection(Needed.all(inputs, "the inputs"));
        List<Hook.Registration> hooks = new ArrayList<>();
        layers(Needed.of(floats, "the float graph"))
                .forEach((path, layer) -> {
                    var mean = new Mean(Math.toIntExact(Folding.channels(layer)));
                    correction.floats.put(path, mean);
                    hooks.add(
                            layer.onOutput((module, outputs) -> {
                                try (var scope = new PointerScope()) {
                                    mean.add(byChannel(layer, outputs.getFirst()));
                                }
                                return outputs;
                            }));
                });
        run(floats, correction.inputs, hooks);
        return correction;
    }

    private static void run(GraphModule graph, List<Tensor> inputs, List<Hook.Registration> hooks) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            graph.callAll(inputs);
        } finally {
            hooks.forEach(Hook.Registration::close);
        }
    }

    /** The layers that give channels and have a bias, or could have one. */
    private static Map<String, Module> layers(GraphModule graph) {
        Map<String, Module> layers = new LinkedHashMap<>();
        graph.modules()
                .forEach((path, module) -> {
                    Module layer = module instanceof FusedChain chain ? chain.layer() : module;
                    if (layer instanceof Linear || layer instanceof Convolution) {
                        layers.put(path, layer);
                    }
                });
        return layers;
    }

    /** What a layer gives as [rows, channels]. */
    private static Tensor byChannel(Module layer, Tensor y) {
        return y.movedim(channelDimension(layer, y), -1).reshape(-1, Folding.channels(layer));
    }

    private static long channelDimension(Module layer, Tensor y) {
        int spatial = layer instanceof Convolution convolution ? convolution.stride().length : 0;
        return y.dim() - 1 - spatial;
    }

    /**
     * A copy of a graph whose biases are corrected.
     *
     * @param reference what {@code GraphQuantization.convertToReference} made of the float graph,
     *     some of its layers in floats again or not; it stays as it is
     */
    public GraphModule apply(GraphModule reference) {
        GraphModule corrected = Needed.of(reference, "the reference graph").copy();
        List<Hook.Registration> hooks = new ArrayList<>();
        layers(corrected)
                .forEach((path, layer) -> {
                    Mean mean = floats.get(path);
                    if (mean != null && mean.rows > 0) {
                        hooks.add(correcting(layer, mean));
                    }
                });
        run(corrected, inputs, hooks);
        return corrected;
    }

    /** Corrects a layer when it is called, before others see what it gives. */
    private static Hook.Registration correcting(Module layer, Mean wanted) {
        if (!layer.hasParameter(BIAS)) {
            layer.addParameter(BIAS, Tensors.zeros(Folding.channels(layer)));
        }
        return layer.onOutput((module, outputs) -> {
            try (var scope = new PointerScope()) {
                Tensor y = outputs.getFirst();
                Tensor lacking = Tensors.of(wanted.lacking(byChannel(layer, y)));
                layer.parameter(layer.storedName(BIAS)).add_(lacking);
                long[] shape = new long[Math.toIntExact(y.dim())];
                Arrays.fill(shape, 1);
                shape[Math.toIntExact(channelDimension(layer, y))] = lacking.numel();
                y.add_(lacking.reshape(shape));
            }
            return outputs;
        });
    }
}
