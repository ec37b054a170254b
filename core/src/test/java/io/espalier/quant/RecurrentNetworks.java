package io.espalier.quant;

import io.espalier.nn.GRU;
import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.Recurrent;
import io.espalier.nn.Sequential;

import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.function.UnaryOperator;

/** Recurrent networks for tests, and how they are quantized and compared. */
final class RecurrentNetworks {
    private RecurrentNetworks() {}

    static Sequential network(boolean lstm, UnaryOperator<Recurrent.Options> with) {
        Sequential model = new Sequential(lstm ? new LSTM(12, 24, with) : new GRU(12, 24, with));
        model.eval();
        return model;
    }

    static void quantize(Module model, String backend, List<List<Tensor>> calibration) {
        model.qconfig(QConfig.forBackend(backend));
        Quantization.prepare(model);
        calibration.forEach(model::callAll);
        Quantization.convert(model);
    }

    /** The signal-to-quantization-noise ratio in decibel. */
    static double sqnr(Tensor expected, Tensor actual) {
        return 20
                * Math.log10(
                        expected.norm().item_float() / actual.sub(expected).norm().item_float());
    }

    /** A network between two linear layers, which takes and gives integers there. */
    static final class Tagger extends Module {
        final Linear in = add("in", new Linear(6, 12));
        final LSTM lstm = add("lstm", new LSTM(12, 24));
        final Linear out = add("out", new Linear(24, 3));

        @Override
        protected Tensor forward(Tensor x) {
            return out.call(lstm.call(in.call(x)));
        }
    }
}
