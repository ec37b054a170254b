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

    /** A network in floats. */
    static List<String> plain(LayerCall call, Recurrent recurrent) {
        ModuleState state = call.state();
        return new RecurrentWriter(
                        call,
                        recurrent.shape(),
                        new RecurrentWriter.Gates() {
                            @Override
                            public String matrix(String kind, String suffix, GateOrder order) {
                                String name = "weight_" + kind + suffix;
                                return call.draft()
                                        .state(
                                                state.prefix() + name,
                                                order.of(recurrent.value(name)));
                            }

                            @Override
                            public @Nullable Tensor bias(String kind, String suffix) {
                                String name = "bias_" + kind + suffix;
                                return recurrent.hasParameter(name) ? recurrent.value(name) : null;
                            }
                        })
                .write(call.x());
    }

    /** A network with small weights. */
    static List<String> small(LayerCall call) {
        Module module = call.module();
        boolean half = "FLOAT16".equals(call.attributes().get("dtype"));
        return new RecurrentWriter(
                        call,
                        shape(call.attributes()),
                        new RecurrentWriter.Gates() {
                            @Override
                            public String matrix(String kind, String suffix, GateOrder order) {
                                String name = "weight_" + kind + suffix;
                                return half
                                        ? Casts.cast(
                                                call.draft(),
                                                ElementType.FLOAT,
                                                call.draft()
                                                        .state(
                                                                call.prefix() + name,
                                                                order.of(module.buffer(name))))
                                        : stored(call.draft(), call.prefix(), module, name, order);
                            }

                            @Override
                            public @Nullable Tensor bias(String kind, String suffix) {
                                String name = "bias_" + kind + suffix;
                                return module.hasBuffer(name) ? module.buffer(name) : null;
                            }
                        })
                .write(call.x());
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
                    public String matrix(String kind, String suffix, GateOrder order) {
                        String inner = kind + suffix;
                        return stored(
                                call.draft(),
                                call.prefix() + inner + ".",
                                module.module(inner),
                                "weight",
                                order);
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
    private static String stored(
            Draft draft, String prefix, Module module, String name, GateOrder order) {
        String integers = draft.state(prefix + name, order.of(module.buffer(name)));
        String floats = Casts.cast(draft, ElementType.FLOAT, integers);
        Tensor zeroPoint = module.buffer(name + "_zero_point");
        boolean symmetric = true;
        for (long zero : Tensors.longs(zeroPoint)) {
            symmetric &= zero == 0;
        }
        if (!symmetric) {
            String zeros =
                    draft.state(
                            prefix + name + "_zero_point",
                            order.ofRows(zeroPoint.to(ScalarType.Float)));
            floats = draft.node("Sub", floats, zeros);
        }
        String scale =
                draft.state(prefix + name + "_scale", order.ofRows(module.buffer(name + "_scale")));
        return draft.node("Mul", floats, scale);
    }
}
