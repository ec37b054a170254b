package io.espalier.conformance;

import io.espalier.nn.AdaptiveAvgPool2d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.GRU;
import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.DeQuantStub;
import io.espalier.quant.QuantStub;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** The models that the cases name, in the widths that their parameters have. */
final class Models {
    private static final String PARAMETER = "param.";

    private Models() {}

    /** A model between stubs; its parts keep PyTorch's names, which are printed. */
    static final class Net extends Module {
        private final QuantStub quant = add("quant", new QuantStub());
        private final Module body;
        private final DeQuantStub dequant;

        Net(Module body) {
            this.body = add("body", body);
            this.dequant = add("dequant", new DeQuantStub());
        }

        @Override
        protected Tensor forward(Tensor x) {
            return dequant.call(body.call(quant.call(x)));
        }
    }

    /** Two convolutions of one input, added. */
    static final class Res extends Module {
        private final Conv2d a;
        private final Conv2d b;
        private final FloatFunctional add;

        Res(Conv2d a, Conv2d b) {
            this.a = add("a", a);
            this.b = add("b", b);
            this.add = add("add", new FloatFunctional());
        }

        @Override
        protected Tensor forward(Tensor x) {
            return add.add(a.call(x), b.call(x));
        }
    }

    /** The model of this name between stubs. */
    static Module inStubs(String name, Values inputs) {
        return filled(new Net(body(name, new Widths(inputs))), inputs);
    }

    /** One layer of this name, alone in a {@code Sequential}. */
    static Module alone(String name, Values inputs) {
        var widths = new Widths(inputs);
        Module layer =
                switch (name) {
                    case "linear" -> widths.linear("0");
                    case "lstm" -> new LSTM(widths.recurrentInput(), widths.recurrentState());
                    case "gru" -> new GRU(widths.recurrentInput(), widths.recurrentState());
                    default -> throw Group.unknown("model", name);
                };
        return filled(new Sequential(layer), inputs);
    }

    /** The model with the parameters that stand under {@code param.} in the inputs. */
    private static Module filled(Module model, Values inputs) {
        inputs.namesUnder(PARAMETER)
                .forEach(path -> Layers.set(model, path, inputs.tensor(PARAMETER + path)));
        return model;
    }

    private static Module body(String name, Widths widths) {
        return switch (name) {
            case "linear" -> new Sequential(widths.linear("body.0"));
            case "linear_relu" -> {
                var body = new Sequential(widths.linear("body.0"), new ReLU());
                yield widths.has("body.2") ? body.append(widths.linear("body.2")) : body;
            }
            case "conv_bn_relu_x2_pool_linear" ->
                    new Sequential(
                            widths.conv("body.0", 1, 1),
                            widths.norm("body.1"),
                            new ReLU(),
                            widths.conv("body.3", 0, 2),
                            widths.norm("body.4"),
                            new ReLU(),
                            new AdaptiveAvgPool2d(1),
                            new Flatten(),
                            widths.linear("body.8"));
            case "conv_bn_relu" ->
                    new Sequential(
                            widths.conv("body.0", 1, 1),
                            widths.norm("body.1"),
                            new ReLU(),
                            new AdaptiveAvgPool2d(1),
                            new Flatten());
            case "residual_add" ->
                    new Res(widths.conv("body.a", 1, 1), widths.conv("body.b", 0, 1));
            default -> throw Group.unknown("model", name);
        };
    }

    /** Layers as wide as the weights given for them. */
    private record Widths(Values inputs) {
        boolean has(String path) {
            return inputs.has(PARAMETER + path + ".weight");
        }

        Linear linear(String path) {
            Tensor weight = weight(path + ".weight", 2);
            return new Linear(weight.size(1), weight.size(0), o -> o.bias(hasBias(path)));
        }

        Conv2d conv(String path, long padding, long stride) {
            Tensor weight = weight(path + ".weight", 4);
            return new Conv2d(
                    weight.size(1),
                    weight.size(0),
                    new long[] {weight.size(2), weight.size(3)},
                    with -> with.padding(padding).stride(stride).bias(hasBias(path)));
        }

        BatchNorm2d norm(String path) {
            return new BatchNorm2d(weight(path + ".weight", 1).size(0));
        }

        long recurrentInput() {
            return weight("0.weight_ih_l0", 2).size(1);
        }

        long recurrentState() {
            return weight("0.weight_hh_l0", 2).size(1);
        }

        private boolean hasBias(String path) {
            return inputs.has(PARAMETER + path + ".bias");
        }

        private Tensor weight(String path, int dims) {
            Tensor weight = inputs.tensor(PARAMETER + path);
            if (weight.dim() != dims) {
                throw new MalformedCase(path + " has not " + dims + " dimensions");
            }
            return weight;
        }
    }

    /** Chains of names within the body, as the whole model names them. */
    static List<List<String>> inBody(List<List<String>> chains) {
        return chains.stream()
                .map(chain -> chain.stream().map(name -> "body." + name).toList())
                .toList();
    }

    /** A printed model without the digits of its scales, which may differ in the last place. */
    static String withoutScales(String printed) {
        return printed.replaceAll("scale=(tensor\\(\\[)?[-+.\\de]+", "scale=$1…");
    }
}
