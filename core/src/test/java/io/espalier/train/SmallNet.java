package io.espalier.train;

import io.espalier.data.Dataset;
import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.Dropout;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/** A network that has all that a checkpoint must hold: a mask, running statistics, dropout. */
final class SmallNet extends Module {
    final Linear first = add("first", new Linear(6, 16));
    final BatchNorm1d norm = add("norm", new BatchNorm1d(16));
    final ReLU relu = add("relu", new ReLU());
    final Dropout dropout = add("dropout", new Dropout(0.3));
    final Linear last = add("last", new Linear(16, 3));

    @Override
    protected Tensor forward(Tensor x) {
        return last.call(dropout.call(relu.call(norm.call(first.call(x)))));
    }

    /** The same network every time, with half of its first weights masked. */
    static SmallNet masked() {
        Libtorch.seed(11);
        var net = new SmallNet();
        net.first.addBuffer(
                "weight_mask",
                net.first.weight().detach().gt(new Scalar(0)).to(Tensors.type(net.first.weight())));
        net.first.storeAs("weight", "weight_orig");
        net.first.parametrize("weight", new Mask("weight"));
        return net;
    }

    /** Examples of three classes, the same every time. */
    static Dataset examples(int count) {
        Libtorch.seed(12);
        Tensor x = Tensors.randn(count, 6);
        return Dataset.of(x, x.narrow(1, 0, 3).argmax(new LongOptional(1), false));
    }
}
