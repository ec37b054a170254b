package io.espalier.quant.layer;

import io.espalier.nn.Recurrent;
import io.espalier.nn.RecurrentShape;
import io.espalier.nn.RecurrentShape.Kind;

import java.util.Map;

/** How a file says what kind of recurrent network a quantized layer is. */
final class RecurrentAttributes {
    /** Far beyond any network, and few enough to list their weights' names. */
    private static final long MOST_LAYERS = 10_000;

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
                        Attributes.number(attributes, "layers", 1, MOST_LAYERS),
                        Attributes.flag(attributes, "bias"),
                        Attributes.flag(attributes, "batch_first"),
                        Attributes.share(attributes, "dropout"),
                        Attributes.flag(attributes, "bidirectional"));
        return new RecurrentShape(
                Attributes.flag(attributes, "lstm") ? Kind.LSTM : Kind.GRU,
                Attributes.number(attributes, "input_size", 1, Integer.MAX_VALUE),
                Attributes.number(attributes, "hidden_size", 1, Integer.MAX_VALUE),
                options);
    }
}
