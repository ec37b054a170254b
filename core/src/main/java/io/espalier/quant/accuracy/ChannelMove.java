package io.espalier.quant.accuracy;

import io.espalier.graph.GraphOperator;
import io.espalier.graph.Node;
import io.espalier.nn.Hook;
import io.espalier.nn.Module;
import io.espalier.quant.fusion.Dataflow;
import io.espalier.quant.fusion.SameNumbers;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;

/**
 * A part of the range of channels that is moved out of a tensor: what gives it is multiplied, and
 * the layers that read it make up for that. The network computes the same if they are all that read
 * it, through nothing but what gives a multiple of a channel for a multiple of it.
 *
 * @param from what gives the tensor
 * @param to the layers that read it
 */
record ChannelMove(Absorber from, List<WeightedLayer> to) {
    /** What gives a multiple for a multiple, and is no view; views only move elements. */
    private static final Set<GraphOperator> NEUTRAL =
            EnumSet.of(
                    GraphOperator.RELU,
                    GraphOperator.LEAKY_RELU,
                    GraphOperator.MAX_POOL1D,
                    GraphOperator.MAX_POOL2D,
                    GraphOperator.AVG_POOL1D,
                    GraphOperator.AVG_POOL2D,
                    GraphOperator.ADAPTIVE_AVG_POOL1D,
                    GraphOperator.ADAPTIVE_AVG_POOL2D,
                    GraphOperator.UPSAMPLE_NEAREST1D,
                    GraphOperator.UPSAMPLE_NEAREST2D,
                    GraphOperator.PAD,
                    GraphOperator.MEAN);

    /** Exponents of two between −3 and 3: no value gets too large or small for a float. */
    private static final int EXPONENTS = 3;

    ChannelMove {
        to = List.copyOf(to);
    }

    /** Whether a function gives a multiple of a tensor for a multiple of it. */
    static boolean isNeutral(Node.OperatorCall call) {
        return NEUTRAL.contains(call.operator()) || call.operator().isView();
    }

    /** Whether the graph says, if it can tell, that these layers are all that read the tensor. */
    boolean isWhole(Dataflow flow) {
        String path =
                WeightedLayer.of(from.path(), from.module())
                        .map(WeightedLayer::ownPath)
                        .orElse(from.path());
        return flow.readers(path, ChannelMove::isNeutral)
                .map(readers -> !readers.others() && paths().containsAll(readers.layers()))
                .orElse(true);
    }

    private List<String> paths() {
        return to.stream().map(WeightedLayer::ownPath).toList();
    }

    /**
     * Whether a model with moved channels gives the same. They are moved in a call, by powers of
     * two, which lose nothing: the output must be the same bit by bit.
     *
     * @param model a model in inference mode, which is left as it is
     */
    static boolean keepOutput(Module model, List<Tensor> example, List<ChannelMove> moves) {
        try (var scope = new PointerScope()) {
            // By factors of one first: a product may lie otherwise in memory than what it is of.
            return SameNumbers.in(
                    outputs(model, example, moves, 0), outputs(model, example, moves, EXPONENTS));
        } catch (EspalierException refusedByTheModel) {
            return false;
        }
    }

    private static List<Tensor> outputs(
            Module model, List<Tensor> example, List<ChannelMove> moves, int exponents) {
        var random = new Random(0);
        List<Hook.Registration> hooks = new ArrayList<>();
        try {
            for (ChannelMove move : moves) {
                float[] factors = new float[Math.toIntExact(move.from.channels())];
                for (int c = 0; c < factors.length; c++) {
                    factors[c] = Math.scalb(1f, random.nextInt(-exponents, exponents + 1));
                }
                move.attach(Tensors.of(factors), hooks);
            }
            return model.callAll(example);
        } finally {
            hooks.forEach(Hook.Registration::close);
        }
    }

    private void attach(Tensor factors, List<Hook.Registration> hooks) {
        hooks.add(
                from.module()
                        .onOutputFirst((self, outputs) ->
                                withFirst(outputs, from.scaled(outputs.getFirst(), factors))));
        Tensor inverse = factors.reciprocal();
        for (WeightedLayer layer : to) {
            hooks.add(
                    layer.layer()
                            .onInput((self, inputs) ->
                                    withFirst(
                                            inputs,
                                            layer.scaledInput(inputs.getFirst(), inverse))));
        }
    }

    private static List<Tensor> withFirst(List<Tensor> tensors, Tensor first) {
        List<Tensor> replaced = new ArrayList<>(tensors);
        replaced.set(0, first);
        return replaced;
    }
}
