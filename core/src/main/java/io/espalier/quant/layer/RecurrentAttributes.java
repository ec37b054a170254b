package io.espalier.quant.layer;

import io.espalier.nn.Recurrent;
import io.espalier.nn.RecurrentShape;
import io.espalier.nn.RecurrentShape.Kind;

import java.util.Map;

/** How a file says what kind of recurrent network a quantized layer is. */
final class RecurrentAttributes {
    private RecurrentAttributes() {}

    static void write(RecurrentShape shape, Map<String, String> attributes) {
        Recurrent.Options options = shape.options();
        attributes.put("lstm", Boolean.toString(shape.kind() == Kind.LSTM));
        attributes.put("input_size", Long.toString(shape.inputSize()));
        attributes.put("hidden_size", Long.toString(shape.hiddenSize()));
        attributes.put("layers", Long.toString(options.layers()));
        attributes.put("bias", Boolean.toString(options.bias()));
        attributes.put("batch_first", Boolean.toString(options.batchFirst()));
        attributes.put("dropout", Double.toString(options.dropout()));
        attributes.put("bidirectional", Boolean.toString(options.bidirectional()));
    }

    static RecurrentShape read(Map<String, String> attributes) {
        var options =
                new Recurrent.Options(
                        number(attributes, "layers"),
                        flag(attributes, "bias"),
                        flag(attributes, "batch_first"),
                        Double.parseDouble(attributes.getOrDefault("dropout", "0")),
                        flag(attributes, "bidirectional"));
        return new RecurrentShape(
                flag(attributes, "lstm") ? Kind.LSTM : Kind.GRU,
                number(attributes, "input_size"),
                number(attributes, "hidden_size"),
                options);
    }

    private static long number(Map<String, String> attributes, String name) {
        return Long.parseLong(attributes.getOrDefault(name, "1"));
    }

    private static boolean flag(Map<String, String> attributes, String name) {
        return Boolean.parseBoolean(attributes.get(name));
    }
}
