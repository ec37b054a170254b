package io.espalier.slim;

import io.espalier.graph.Node.ModuleCall;
import io.espalier.graph.Value;
import io.espalier.nn.BatchNorm;
import io.espalier.nn.Convolution;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.InstanceNorm;
import io.espalier.nn.InstanceNorm1d;
import io.espalier.nn.InstanceNorm2d;
import io.espalier.nn.LayerForm;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.LayerSizes;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.PReLU;
import io.espalier.nn.Recurrent;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;

/** What layers do to channels: each is a call with its own tensors as further operands. */
final class ModelLayerRules {
    private final ModelAnalysis analysis;
    private final ModuleCall node;
    private final Module layer;

    private ModelLayerRules(ModelAnalysis analysis, ModuleCall node) {
        this.analysis = analysis;
        this.node = node;
        layer = analysis.model().module(node.path());
    }

    /** The rule of a layer. */
    static void apply(ModelAnalysis analysis, ModuleCall node) {
        new ModelLayerRules(analysis, node).apply();
    }

    private void apply() {
        Module kind = layer instanceof LayerForm form ? form.geometry() : layer;
        if (!kind.isAtomic()) {
            throw new NotUnderstood("what its code does can't be followed");
        }
        switch (kind) {
            case Linear linear -> linear();
            case Convolution convolution -> convolution(convolution);
            case BatchNorm norm -> batch();
            case InstanceNorm norm -> instance(norm);
            case GroupNorm norm -> group(norm);
            case LayerNorm norm -> layer(norm);
            case PReLU prelu -> prelu();
            case Embedding table -> table("weight");
            case EmbeddingBag table -> table("weight");
            case MultiheadAttention attention -> attention(attention);
            case Recurrent recurrent -> ModelRecurrentRule.apply(analysis, node, recurrent);
            default -> throw new NotUnderstood("no rule for " + layer.getClass().getSimpleName());
        }
    }

    private void attention(MultiheadAttention attention) {
        List<@Nullable ModelOperand> operands = new ArrayList<>();
        node.inputs().forEach(input -> operands.add(analysis.operand(input)));
        String last = node.path() + ".out_proj";
        operands.add(analysis.own(node.path(), "in_proj_weight"));
        operands.add(analysis.own(node.path(), "in_proj_bias"));
        operands.add(analysis.own(last, "weight"));
        operands.add(analysis.own(last, "bias"));
        var call = new ModelCall(analysis, node, operands);
        ModelAttentionRule.apply(call, attention, node.inputs().size());
    }

    /** The call with these tensors after the layer's inputs. */
    private ModelCall call(String... tensors) {
        if (node.inputs().size() != 1) {
            throw new NotUnderstood("it is given several tensors");
        }
        List<@Nullable ModelOperand> operands = new ArrayList<>();
        for (Value input : node.inputs()) {
            operands.add(analysis.operand(input));
        }
        for (String tensor : tensors) {
            operands.add(analysis.own(node.path(), tensor));
        }
        return new ModelCall(analysis, node, operands);
    }

    private void linear() {
        ModelCall call = call("weight", "bias");
        ModelOperatorRules.linear(call);
        Axis in = call.axis(1, 1);
        Axis out = call.axis(1, 0);
        uniteAlong(out);
        long inputs = call.extent(1, 1);
        long outputs = call.extent(1, 0);
        call.resizes(cut -> new long[] {cut.extent(in, inputs), cut.extent(out, outputs)});
        call.pinRest();
    }

    private void convolution(Convolution convolution) {
        ModelCall call = call("weight", "bias");
        requireRank(call, convolution.kernelSize().length + 2);
        long groups = convolution.groups();
        Axis each =
                convolution.isTransposed()
                        ? ChannelRules.transposedConvolution(call, groups)
                        : ChannelRules.convolution(call, groups, isPadded(convolution));
        Axis in = call.axis(0, 1);
        Axis out = call.given(0, 1);
        uniteAlong(out);
        call.resizes(cut ->
                new long[] {
                    cut.extent(in, convolution.inChannels()),
                    cut.extent(out, convolution.outChannels()),
                    cut.extent(each, groups)
                });
        call.pinRest();
    }

    private static boolean isPadded(Convolution convolution) {
        return LongStream.concat(
                        LongStream.of(convolution.paddingBefore()),
                        LongStream.of(convolution.paddingAfter()))
                .anyMatch(pad -> pad != 0);
    }

    /** What a form of a layer has for each output goes with it. */
    private void uniteAlong(Axis outputs) {
        if (!(layer instanceof LayerForm form)) {
            return;
        }
        List<String> along =
                form.alongOutputs()
                        .orElseThrow(() -> new NotUnderstood("how its weight is rounded"));
        for (String tensor : along) {
            int dot = tensor.lastIndexOf('.');
            String owner = node.path() + "." + tensor.substring(0, dot);
            ModelOperand own = analysis.own(owner, tensor.substring(dot + 1));
            if (own != null) {
                analysis.flow()
                        .unite(
                                outputs,
                                own.known().axes().getFirst(),
                                "'%s' has one for each".formatted(tensor));
            }
        }
    }

    private static void requireRank(ModelCall call, int rank) {
        if (call.rank(0) != rank) {
            throw new NotUnderstood("its input has no batch");
        }
    }

    private void batch() {
        ModelCall call = call("weight", "bias", "running_mean", "running_var");
        ChannelRules.channelwise(call, 4);
        resizesToChannels(call);
    }

    private void instance(InstanceNorm norm) {
        ModelCall call = call("weight", "bias");
        requireRank(
                call, norm instanceof InstanceNorm1d ? 3 : norm instanceof InstanceNorm2d ? 4 : 5);
        ChannelRules.instanceNormalization(call);
        resizesToChannels(call);
    }

    private void resizesToChannels(ModelCall call) {
        Axis channels = call.axis(0, 1);
        long count = call.extent(0, 1);
        call.resizes(cut -> new long[] {cut.extent(channels, count)});
        call.pinRest();
    }

    private void group(GroupNorm norm) {
        ModelCall call = call("weight", "bias");
        Axis groups = ChannelRules.groupNormalization(call, norm.numGroups());
        Axis channels = call.axis(0, 1);
        long count = norm.numChannels();
        long number = norm.numGroups();
        call.resizes(cut -> new long[] {cut.extent(channels, count), cut.extent(groups, number)});
        call.pinRest();
    }

    private void layer(LayerNorm norm) {
        ModelCall call = call("weight", "bias");
        long[] shape = norm.normalizedShape();
        int first = call.rank(0) - shape.length;
        ChannelRules.layerNormalization(call, first, 1);
        List<Axis> axes = call.axes(0).subList(first, call.rank(0));
        call.resizes(cut -> {
            long[] left = new long[shape.length];
            for (int d = 0; d < left.length; d++) {
                left[d] = cut.extent(axes.get(d), shape[d]);
            }
            return left;
        });
        call.pinRest();
    }

    private void prelu() {
        ModelCall call = call("weight");
        ModelOperatorRules.prelu(call);
        Axis weight = call.axis(1, 0);
        long count = call.extent(1, 0);
        call.resizes(cut -> new long[] {cut.extent(weight, count)});
        call.pinRest();
    }

    /** Rows of a table, or what becomes of several. */
    private void table(String name) {
        ModelCall call = call(name);
        int weight = call.operands() - 1;
        Axis elements = call.axis(weight, 1);
        analysis.flow().pin(call.axis(weight, 0), "its rows are chosen by index");
        int rank = call.resultExtents(0).length;
        List<Axis> result = new ArrayList<>(ChannelCall.plain(rank));
        result.set(rank - 1, elements);
        call.give(0, result);
        long size = LayerSizes.of(layer)[0];
        call.resizes(cut -> new long[] {cut.extent(elements, size)});
        call.pinRest();
    }
}
