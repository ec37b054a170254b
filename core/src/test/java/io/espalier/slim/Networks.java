package io.espalier.slim;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.Embedding;
import io.espalier.nn.Functional;
import io.espalier.nn.GRU;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.InstanceNorm2d;
import io.espalier.nn.LSTM;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.PReLU;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/** Small networks, each of which does something else to channels. */
@SuppressWarnings("ImmutableEnumChecker") // what makes one never changes
enum Networks {
    CONVOLUTIONS(Convolutions::new, 2, 3, 8, 8),
    RESIDUAL(Residual::new, 2, 3, 8, 8),
    DEPTHWISE(Depthwise::new, 2, 3, 8, 8),
    CONCATENATED(Concatenated::new, 2, 3, 6, 6),
    SHUFFLED(Shuffled::new, 2, 3, 6, 6),
    GROUPED(Grouped::new, 2, 3, 6, 6),
    UPSCALED(Upscaled::new, 2, 3, 5, 5),
    SEQUENCE(Sequence::new, 2, 3, 12),
    VOLUME(Volume::new, 2, 2, 4, 4, 4),
    POSITIONS(Positions::new, 2, 5, 6),
    GATED(Gated::new, 2, 5, 12),
    ENCODER(Encoder::new, 2, 5, 16),
    OWN_ATTENTION(OwnAttention::new, 2, 5, 16),
    RECURRENT(Recurrences::new, 7, 2, 6),
    SUBCLASSED(Subclassed::new, 2, 3, 6, 6);

    private final Supplier<Module> made;
    private final long[] input;

    Networks(Supplier<Module> made, long... input) {
        this.made = made;
        this.input = input;
    }

    /** One with weights drawn anew, in inference mode. */
    Module make() {
        Module model = made.get();
        model.eval();
        return model;
    }

    /** An input. */
    Tensor input() {
        return Tensors.randn(input);
    }

    private static Conv2d conv(long in, long out, long kernel) {
        return new Conv2d(in, out, kernel, o -> o.padding(kernel / 2));
    }

    /** Two convolutions, normalized and pooled, then neurons over their flattened places. */
    static final class Convolutions extends Module {
        private final Conv2d conv1 = add("conv1", conv(3, 8, 3));
        private final BatchNorm2d bn1 = add("bn1", normalization(8));
        private final Conv2d conv2 = add("conv2", conv(8, 12, 3));
        private final BatchNorm2d bn2 = add("bn2", normalization(12));
        private final Linear fc1 = add("fc1", new Linear(12 * 4, 10));
        private final Linear fc2 = add("fc2", new Linear(10, 4));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = pooled(Functional.relu(bn1.call(conv1.call(x))));
            y = pooled(Functional.relu(bn2.call(conv2.call(y))));
            return fc2.call(Functional.relu(fc1.call(Functional.flatten(y, 1, -1))));
        }
    }

    private static Tensor pooled(Tensor x) {
        return Functional.maxPool2d(
                x, new long[] {2, 2}, new long[] {2, 2}, new long[2], new long[] {1, 1}, false);
    }

    static BatchNorm2d normalization(long channels) {
        return BatchNorm2d.of(
                Tensors.rand(channels),
                Tensors.randn(channels),
                Tensors.randn(channels),
                Tensors.rand(channels).add(Tensors.ones(channels)),
                UnaryOperator.identity());
    }

    /** Two branches that are added, and a squeeze-and-excite. */
    static final class Residual extends Module {
        private final Conv2d stem = add("stem", conv(3, 8, 3));
        private final Conv2d inner = add("inner", conv(8, 6, 3));
        private final Conv2d outer = add("outer", conv(6, 8, 3));
        private final Conv2d squeeze = add("squeeze", conv(8, 4, 1));
        private final Conv2d excite = add("excite", conv(4, 8, 1));
        private final PReLU prelu = add("prelu", PReLU.of(Tensors.rand(8)));
        private final Linear head = add("head", new Linear(8, 3));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = prelu.call(stem.call(x));
            y = Functional.add(y, outer.call(Functional.relu(inner.call(y))));
            Tensor means = Functional.mean(y, new long[] {2, 3}, true);
            Tensor scale = Functional.sigmoid(excite.call(Functional.relu(squeeze.call(means))));
            y = Functional.mul(y, scale);
            return head.call(Functional.flatten(Functional.adaptiveAvgPool2d(y, 1, 1), 1, -1));
        }
    }

    /** An inverted residual with a depthwise convolution, and a normalization for each instance. */
    static final class Depthwise extends Module {
        private final Conv2d stem = add("stem", conv(3, 6, 3));
        private final Conv2d wide = add("wide", conv(6, 16, 1));
        private final Conv2d deep =
                add("deep", new Conv2d(16, 16, 3, o -> o.padding(1).groups(16)));
        private final InstanceNorm2d norm = add("norm", new InstanceNorm2d(16));
        private final Conv2d thin = add("thin", conv(16, 6, 1));
        private final Conv2d last = add("last", conv(6, 2, 1));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = stem.call(x);
            Tensor inner = Functional.hardswish(norm.call(deep.call(wide.call(y))));
            return last.call(Functional.add(y, thin.call(inner)));
        }
    }

    /** Dense concatenation, of which parts are taken again. */
    static final class Concatenated extends Module {
        private final Conv2d one = add("one", conv(3, 8, 1));
        private final Conv2d two = add("two", conv(8, 6, 3));
        private final Conv2d three = add("three", conv(14, 8, 3));
        private final Conv2d last = add("last", conv(11, 2, 1));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor a = one.call(x);
            Tensor b = Functional.relu(two.call(a));
            Tensor c = three.call(Functional.cat(List.of(a, b), 1));
            List<Tensor> parts = Functional.chunk(c, 2, 1);
            Tensor all =
                    Functional.cat(List.of(Functional.mul(parts.get(0), parts.get(1)), b, x), 1);
            return last.call(Functional.narrow(all, 1, 0, all.size(1) - 2));
        }
    }

    /** A channel shuffle by sizes, as grouped networks have it. */
    static final class Shuffled extends Module {
        private final Conv2d one = add("one", conv(3, 16, 1));
        private final Conv2d two = add("two", conv(16, 4, 1));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = one.call(x);
            long[] s = Tensors.shape(y);
            y = Functional.reshape(y, s[0], 4, s[1] / 4, s[2], s[3]);
            y = Functional.reshape(Functional.transpose(y, 1, 2), s[0], s[1], s[2], s[3]);
            return two.call(Functional.relu(y));
        }
    }

    /** Grouped convolutions between full ones. */
    static final class Grouped extends Module {
        private final Conv2d one = add("one", conv(3, 16, 1));
        private final Conv2d two = add("two", new Conv2d(16, 24, 3, o -> o.padding(1).groups(4)));
        private final ConvTranspose2d three =
                add("three", new ConvTranspose2d(24, 8, 2, o -> o.stride(2).groups(4)));
        private final Conv2d four = add("four", conv(8, 3, 1));

        @Override
        protected Tensor forward(Tensor x) {
            return four.call(three.call(Functional.relu(two.call(Functional.relu(one.call(x))))));
        }
    }

    /** Finer pixels from channels. */
    static final class Upscaled extends Module {
        private final Conv2d one = add("one", conv(3, 8, 3));
        private final GroupNorm norm = add("norm", new GroupNorm(4, 8));
        private final Conv2d two = add("two", conv(8, 20, 3));
        private final Conv2d last = add("last", conv(5, 1, 3));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = two.call(Functional.relu(norm.call(one.call(x))));
            return last.call(Functional.pixelShuffle(y, 2));
        }
    }

    /** Over one dimension. */
    static final class Sequence extends Module {
        private final Conv1d one = add("one", new Conv1d(3, 8, 3));
        private final Conv1d two = add("two", new Conv1d(8, 6, 3, o -> o.groups(2)));
        private final LSTM lstm = add("lstm", new LSTM(6, 5, o -> o.batchFirst(true)));
        private final Linear last = add("last", new Linear(5, 2));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = Functional.transpose(two.call(Functional.relu(one.call(x))), 1, 2);
            return last.call(lstm.call(y));
        }
    }

    /** Over three dimensions. */
    static final class Volume extends Module {
        private final Conv3d one = add("one", new Conv3d(2, 6, 3));
        private final Conv3d two = add("two", new Conv3d(6, 2, 1));

        @Override
        protected Tensor forward(Tensor x) {
            return two.call(Functional.relu(one.call(x)));
        }
    }

    /** A layer over positions between two over channels, and a gate by the largest channel. */
    static final class Positions extends Module {
        private final Linear wide = add("wide", new Linear(6, 12));
        private final Conv1d along = add("along", new Conv1d(5, 5, 1));
        private final Linear thin = add("thin", new Linear(12, 8));
        private final Linear last = add("last", new Linear(8, 3));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = thin.call(along.call(wide.call(x)));
            Tensor largest = Functional.amax(y, new long[] {2}, true);
            return last.call(Functional.mul(y, Functional.sigmoid(largest)));
        }
    }

    /** A gate from the other half of a layer's neurons, and one from a layer of its own. */
    static final class Gated extends Module {
        private final Linear both = add("both", new Linear(12, 16));
        private final Linear gate = add("gate", new Linear(8, 10));
        private final Linear up = add("up", new Linear(8, 10));
        private final Linear down = add("down", new Linear(10, 12));

        @Override
        protected Tensor forward(Tensor x) {
            List<Tensor> halves = Functional.chunk(both.call(x), 2, -1);
            Tensor y = Functional.mul(Functional.silu(halves.get(0)), halves.get(1));
            return Functional.add(
                    x, down.call(Functional.mul(Functional.silu(gate.call(y)), up.call(y))));
        }
    }

    /** Embedded, attended and normalized; the last layer's weight is that of the table. */
    static final class Encoder extends Module {
        private final Linear into = add("into", new Linear(16, 16));
        private final MultiheadAttention attention =
                add(
                        "attention",
                        new MultiheadAttention(16, 4, o -> o.batchFirst(true).needWeights(false)));
        private final LayerNorm norm = add("norm", new LayerNorm(16));
        private final Linear fc1 = add("fc1", new Linear(16, 20));
        private final Linear fc2 = add("fc2", new Linear(20, 16));
        private final Linear head = add("head", new Linear(16, 4));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = into.call(x);
            y = norm.call(Functional.add(y, attention.call(y)));
            y = Functional.add(y, fc2.call(Functional.gelu(fc1.call(y))));
            return head.call(y);
        }
    }

    /** Attention as one writes it, by the sizes of tensors where that can be. */
    static final class OwnAttention extends Module {
        private final Linear query = add("query", new Linear(16, 16));
        private final Linear key = add("key", new Linear(16, 16));
        private final Linear value = add("value", new Linear(16, 16));
        private final Linear out = add("out", new Linear(16, 16));
        private final long head = 4;

        @Override
        protected Tensor forward(Tensor x) {
            Tensor q = heads(query.call(x));
            Tensor k = heads(key.call(x));
            Tensor v = heads(value.call(x));
            Tensor scores =
                    Functional.mul(Functional.matmul(q, Functional.transpose(k, 2, 3)), 0.5);
            Tensor y = Functional.matmul(Functional.softmax(scores, -1), v);
            return out.call(Functional.flatten(Functional.transpose(y, 1, 2), 2, 3));
        }

        private Tensor heads(Tensor x) {
            return Functional.transpose(Functional.unflatten(x, 2, -1, head), 1, 2);
        }
    }

    /** Recurrent networks, one after the other. */
    static final class Recurrences extends Module {
        private final GRU gru = add("gru", new GRU(6, 8, o -> o.layers(2).bidirectional(true)));
        private final LSTM lstm = add("lstm", new LSTM(16, 6));
        private final Linear last = add("last", new Linear(6, 3));

        @Override
        protected Tensor forward(Tensor x) {
            return last.call(lstm.call(gru.call(x)));
        }
    }

    /** A layer of one's own that computes with the weight of the layer that it extends. */
    static final class Subclassed extends Module {
        private final Doubled one = add("one", new Doubled(3, 8));
        private final Conv2d two = add("two", conv(8, 2, 1));

        @Override
        protected Tensor forward(Tensor x) {
            return two.call(Functional.relu(one.call(x)));
        }
    }

    /** A convolution whose weight is doubled. */
    static final class Doubled extends Conv2d {
        Doubled(long in, long out) {
            super(in, out, 1);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return super.forward(Functional.mul(x, 2.0));
        }
    }

    /** A table of vectors whose weight is that of the last layer too. */
    static final class Tied extends Module {
        final Embedding table = add("table", new Embedding(11, 12));
        final Linear inner = add("inner", new Linear(12, 12));
        final Linear last = add("last", Linear.of(table.weight(), null));

        @Override
        protected Tensor forward(Tensor x) {
            return last.call(inner.call(table.call(x)));
        }
    }
}
