package io.espalier.onnx.export;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.Convolution;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.InstanceNorm;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.PReLU;
import io.espalier.nn.PaddingMode;
import io.espalier.nn.Recurrent;
import io.espalier.quant.layer.ChainActivation;
import io.espalier.quant.layer.FusedChain;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Layers that compute in floats. */
final class FloatLayers {
    private FloatLayers() {}

    /** Writes a call of a layer of a known kind. */
    static List<String> write(LayerCall call) {
        return switch (call.module()) {
            case Recurrent recurrent -> RecurrentLayers.plain(call, recurrent);
            case MultiheadAttention attention -> new AttentionWriter(call, attention).write();
            case EmbeddingBag bag -> Tables.bag(call, bag);
            case FusedChain chain -> List.of(IntegerLayers.chain(call, chain));
            default -> List.of(one(call));
        };
    }

    private static String one(LayerCall call) {
        Draft draft = call.draft();
        ModuleState state = call.state();
        return switch (call.module()) {
            case Linear linear ->
                    Products.linear(
                            draft,
                            call.x(),
                            call.seen().rank(),
                            state.tensor("weight"),
                            state.optional("bias"));
            case Convolution convolution ->
                    convolution(call, convolution, state.tensor("weight"), state.optional("bias"));
            case Embedding table -> draft.node("Gather", state.tensor("weight"), call.x());
            case PReLU prelu ->
                    Activations.prelu(
                            draft,
                            call.x(),
                            call.seen(),
                            state.tensor("weight"),
                            new Seen(call.seen().type(), List.of(prelu.count()), null));
            default -> norm(call, state);
        };
    }

    private static String norm(LayerCall call, ModuleState state) {
        Draft draft = call.draft();
        String weight = state.optional("weight");
        String bias = state.optional("bias");
        return switch (call.module()) {
            case BatchNorm norm when norm.runningMean().isEmpty() ->
                    Norms.ofBatch(draft, call.x(), call.seen(), weight, bias, norm.eps());
            case BatchNorm norm ->
                    Norms.batchNorm(
                            draft,
                            call.x(),
                            norm.numFeatures(),
                            weight,
                            bias,
                            state.tensor("running_mean"),
                            state.tensor("running_var"),
                            norm.eps());
            case LayerNorm norm ->
                    Norms.layerNorm(
                            draft,
                            call.x(),
                            Arrays.stream(norm.normalizedShape()).boxed().toList(),
                            weight,
                            bias,
                            norm.eps());
            case GroupNorm norm ->
                    Norms.groupNorm(
                            draft,
                            call.x(),
                            call.seen(),
                            norm.numGroups(),
                            weight,
                            bias,
                            norm.eps());
            case InstanceNorm norm -> instanceNorm(call, norm, weight, bias);
            default ->
                    throw new EspalierException(
                            "there is no ONNX operator for a " + call.module() + ".");
        };
    }

    private static String instanceNorm(
            LayerCall call, InstanceNorm norm, String weight, String bias) {
        List<Long> shape = call.seen().shape();
        boolean batched =
                shape.size() > 2
                        && norm.numFeatures() == shape.get(1)
                        && isBatched(norm, shape.size());
        List<Long> batch = new ArrayList<>(shape);
        if (!batched) {
            batch.addFirst(1L);
        }
        return Batches.around(
                call.draft(),
                call.x(),
                shape.size(),
                batch.size(),
                x ->
                        Norms.groupNorm(
                                call.draft(),
                                x,
                                new Seen(call.seen().type(), batch, null),
                                norm.numFeatures(),
                                weight,
                                bias,
                                norm.eps()));
    }

    private static boolean isBatched(InstanceNorm norm, int rank) {
        String name = norm.getClass().getSimpleName();
        return rank == Character.digit(name.charAt(name.length() - 2), 10) + 2;
    }

    /** A convolution whose padding is what the layer fills it with. */
    static String convolution(LayerCall call, Convolution layer, String weight, String bias) {
        var geometry = ConvolutionGeometry.of(layer);
        int rank = call.seen().rank();
        if (layer.paddingMode() == PaddingMode.ZEROS) {
            return geometry.write(call.draft(), call.x(), rank, weight, bias);
        }
        String padded = padded(call.draft(), call.x(), rank, geometry, layer.paddingMode());
        return geometry.padded().write(call.draft(), padded, rank, weight, bias);
    }

    /** An input padded as a convolution does it. */
    static String padded(
            Draft draft, String x, int rank, ConvolutionGeometry geometry, PaddingMode mode) {
        int spatial = geometry.rank();
        if (mode == PaddingMode.CIRCULAR) {
            List<Long> sides = new ArrayList<>();
            for (int d = spatial - 1; d >= 0; d--) {
                sides.add(geometry.before().get(d));
                sides.add(geometry.after().get(d));
            }
            return Windows.circular(draft, x, sides, rank);
        }
        long[] pads = new long[2 * rank];
        for (int d = 0; d < spatial; d++) {
            pads[rank - spatial + d] = geometry.before().get(d);
            pads[2 * rank - spatial + d] = geometry.after().get(d);
        }
        String how = mode == PaddingMode.REFLECT ? "reflect" : "edge";
        return draft.node("Pad", node -> node.with("mode", how), x, draft.longs(pads));
    }

    /** What a chain computes last. */
    static String activation(Draft draft, String x, ChainActivation activation) {
        return switch (activation) {
            case NONE -> x;
            case RELU -> draft.node("Relu", x);
            case RELU6 -> Activations.clip(draft, x, 0, 6);
            case HARDSWISH -> draft.node("HardSwish", x);
            case SILU -> Activations.silu(draft, x);
        };
    }
}
