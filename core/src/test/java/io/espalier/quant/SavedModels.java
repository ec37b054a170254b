package io.espalier.quant;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.Flatten;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.Functional;
import io.espalier.nn.GRU;
import io.espalier.nn.Hardswish;
import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** Float models whose quantized forms lie as files among the resources. */
final class SavedModels {
    private SavedModels() {}

    /** Convolution, arithmetic, an activation, and a fused pair that stays in floats: [N,2,6,6]. */
    static final class Pictures extends Module {
        final QuantStub quant = add("quant", new QuantStub());
        final Conv2d conv = add("conv", new Conv2d(2, 3, 3, o -> o.padding(1)));
        final BatchNorm2d norm = add("norm", new BatchNorm2d(3));
        final ReLU relu = add("relu", new ReLU());
        final Conv2d wide = add("wide", new Conv2d(3, 3, 3, o -> o.padding(1)));
        final FloatFunctional sum = add("sum", new FloatFunctional());
        final Hardswish swish = add("swish", new Hardswish());
        final Flatten flatten = add("flatten", new Flatten());
        final Linear hidden = add("hidden", new Linear(108, 5));
        final ReLU hiddenRelu = add("hidden_relu", new ReLU());
        final DeQuantStub dequant = add("dequant", new DeQuantStub());
        final Linear head = add("head", new Linear(5, 4));
        final ReLU headRelu = add("head_relu", new ReLU());

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = relu.call(norm.call(conv.call(quant.call(x))));
            y = flatten.call(swish.call(sum.add(wide.call(y), y)));
            y = dequant.call(hiddenRelu.call(hidden.call(y)));
            return headRelu.call(head.call(y));
        }
    }

    /** Tables and recurrent networks: Long [N, L] to [N, 3]. */
    static final class Words extends Module {
        final Embedding words = add("words", new Embedding(20, 8));
        final EmbeddingBag bags = add("bags", new EmbeddingBag(20, 8));
        final LSTM lstm = add("lstm", new LSTM(8, 6, o -> o.batchFirst(true)));
        final GRU gru = add("gru", new GRU(6, 8, o -> o.batchFirst(true)));
        final FloatFunctional sum = add("sum", new FloatFunctional());
        final Linear head = add("head", new Linear(8, 3));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor sequence = lstm.callAll(List.of(words.call(x))).getFirst();
            Tensor last = gru.callAll(List.of(sequence)).getFirst().select(1, -1);
            return head.call(sum.add(last, bags.call(x)));
        }
    }

    /** A residual network for graphs: [N,3,6,6] to [N,4]. */
    static final class Residual extends Module {
        final Conv2d stem = add("stem", new Conv2d(3, 4, 3, o -> o.padding(1)));
        final Conv2d block = add("block", new Conv2d(4, 4, 3, o -> o.padding(1)));
        final Linear hidden = add("hidden", new Linear(144, 6));
        final Linear head = add("head", new Linear(6, 4));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = Functional.hardswish(stem.call(x));
            y = Functional.relu(Functional.add(block.call(y), y));
            y = Functional.silu(hidden.call(Functional.flatten(y, 1, 3)));
            return Functional.relu(head.call(y));
        }
    }
}
