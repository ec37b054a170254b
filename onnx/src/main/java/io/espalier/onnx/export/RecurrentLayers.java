package io.espalier.onnx.export;

import io.espalier.nn.Module;
import io.espalier.nn.Recurrent;
import io.espalier.nn.RecurrentShape;
import io.espalier.nn.RecurrentShape.Kind;
import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * LSTM and GRU. Quantized ones are written with their weights stored as integers and computed in
 * floats, since ONNX has no recurrent operator on integers: inputs and outputs are rounded as they
 * were, the state within a sequence is not.
 */
final class RecurrentLayers {
    private RecurrentLayers() {}

    /** Where a weight of one direction lies. */
    private record Part(Module module, String name) {
        Tensor tensor(String ending) {
            return module.buffer(name + ending);
        }
    }

    /** A network in floats. */
    static List<String> plain(LayerCall call, Recurrent recurrent) {
        var gates =
                new RecurrentWriter.Gates() {
                    @Override
                    public String matrix(String kind, List<String> suffixes, GateOrder order) {
                        List<Tensor> weights =
                                suffixes.stream()
                                        .map(suffix -> recurrent.value("weight_" + kind + suffix))
                                        .toList();
                        String name = call.prefix() + "weight_" + kind + suffixes.getFirst();
                        return call.draft().state(name, order.of(weights));
                    }

                    @Override
                    public @Nullable Tensor bias(String kind, String suffix) {
                        String name = "bias_" + kind + suffix;
                        return recurrent.hasParameter(name) ? recurrent.value(name) : null;
                    }
                };
        return new RecurrentWriter(call, recurrent.shape(), gates).write(call.x());
    }

    /** A network with small weights. */
    static List<String> small(LayerCall call) {
        Module module = call.module();
        boolean half = "FLOAT16".equals(call.attributes().get("dtype"));
        var gates =
                new RecurrentWriter.Gates() {
                    @Override
                    public String matrix(String kind, List<String> suffixes, GateOrder order) {
                        List<Part> parts =
                                suffixes.stream()
                                        .map(suffix -> new Part(module, "weight_" + kind + suffix))
                                        .toList();
                        String name = call.prefix() + parts.getFirst().name();
                        return half
                                ? Casts.cast(
                                        call.draft(),
                                        ElementType.FLOAT,
                                        call.draft().state(name, order.of(tensors(parts, ""))))
                                : stored(call.draft(), name, parts, order);
                    }

                    @Override
                    public @Nullable Tensor bias(String kind, String suffix) {
                        String name = "bias_" + kind + suffix;
                        return module.hasBuffer(name) ? module.buffer(name) : null;
                    }
                };
        return new RecurrentWriter(call, shape(call.attributes()), gates).write(call.x());
    }

    private static List<Tensor> tensors(List<Part> parts, String ending) {
        return parts.stream().map(part -> part.tensor(ending)).toList();
    }

    /** A network whose inputs and outputs are rounded, too. */
    static List<String> quantized(LayerCall call) {
        Module module = call.module();
        RecurrentShape shape = shape(call.attributes());
        List<Range> hidden = new ArrayList<>();
        for (long layer = 0; layer < shape.options().layers() - 1; layer++) {
            String name = "hidden_l" + layer;
            hidden.add(
                    Range.unsigned(
                            Tensors.floats(module.buffer(name + "_scale"))[0],
                            Tensors.longs(module.buffer(name + "_zero_point"))[0]));
        }
        var gates =
                new RecurrentWriter.Gates() {
                    @Override
                    public String matrix(String kind, List<String> suffixes, GateOrder order) {
                        List<Part> parts =
                                suffixes.stream()
                                        .map(suffix ->
                                                new Part(module.module(kind + suffix), "weight"))
                                        .toList();
                        String name = call.prefix() + kind + suffixes.getFirst() + ".weight";
                        return stored(call.draft(), name, parts, order);
                    }

                    @Override
                    public @Nullable Tensor bias(String kind, String suffix) {
                        Module product = module.module(kind + suffix);
                        return product.hasBuffer("bias") ? product.buffer("bias") : null;
                    }

                    @Override
                    public String between(int layer, String value) {
                        return call.draft().rounded(value, hidden.get(layer));
                    }
                };
        String x = IntegerLayers.rounded(call.draft(), module, call.x());
        return new RecurrentWriter(call, shape, gates).write(x);
    }

    private static RecurrentShape shape(Map<String, String> attributes) {
        var options =
                new Recurrent.Options(
                        number(attributes, "layers"),
                        flag(attributes, "bias"),
                        flag(attributes, "batch_first"),
                        0,
                        flag(attributes, "bidirectional"));
        return new RecurrentShape(
                flag(attributes, "lstm") ? Kind.LSTM : Kind.GRU,
                number(attributes, "input_size"),
                number(attributes, "hidden_size"),
                options);
    }

    private static long number(Map<String, String> attributes, String name) {
        return Long.parseLong(String.valueOf(attributes.get(name)));
    }

    private static boolean flag(Map<String, String> attributes, String name) {
        return Boolean.parseBoolean(attributes.get(name));
    }

    /** Integers, which a runtime makes floats of when it loads the model. */
    private static String stored(Draft draft, String name, List<Part> parts, GateOrder order) {
        long rows = parts.getFirst().tensor("").size(0);
        String floats =
                Casts.cast(
                        draft, ElementType.FLOAT, draft.state(name, order.of(tensors(parts, ""))));
        List<Tensor> zeroPoints = tensors(parts, "_zero_point");
        boolean symmetric = true;
        for (Tensor zeros : zeroPoints) {
            symmetric &= !zeros.count_nonzero().item_bool();
        }
        if (!symmetric) {
            List<Tensor> zeros =
                    zeroPoints.stream().map(each -> each.to(ScalarType.Float)).toList();
            floats =
                    draft.node(
                            "Sub",
                            floats,
                            draft.state(name + "_zero_point", order.ofRows(zeros, rows)));
        }
        Tensor scales = order.ofRows(tensors(parts, "_scale"), rows);
        return draft.node("Mul", floats, draft.state(name + "_scale", scales));
    }
}
