package io.espalier.examples;

import io.espalier.nn.Module;
import io.espalier.prune.L1Unstructured;
import io.espalier.prune.Prune;
import io.espalier.prune.Target;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** What becomes of a network before it is written. */
enum Form {
    FLOAT(1) {
        @Override
        Module of(Module model, Tensor input) {
            return model;
        }
    },
    PRUNED(1) {
        @Override
        Module of(Module model, Tensor input) {
            Prune.globalUnstructured(Target.weights(model), L1Unstructured::new, 0.5);
            return model;
        }
    },
    FLOAT16(1) {
        @Override
        Module of(Module model, Tensor input) {
            model.qconfig(QConfig.float16());
            Quantization.convert(model);
            return model;
        }
    },
    /** Libtorch rounds what comes in to 7 bits here, ONNX Runtime to 8. */
    DYNAMIC(3) {
        @Override
        Module of(Module model, Tensor input) {
            Quantization.quantizeDynamic(model, QConfig.dynamicPerChannel());
            return model;
        }
    },
    CONVERTED(2) {
        @Override
        Module of(Module model, Tensor input) {
            Quantization.fuse(model, input);
            model.qconfig(QConfig.forBackend("x86"));
            Quantization.prepare(model);
            model.call(input);
            Quantization.convert(model);
            return model;
        }
    },
    TRAINED_FOR_INTEGERS(2) {
        @Override
        Module of(Module model, Tensor input) {
            Prune.globalUnstructured(Target.weights(model), L1Unstructured::new, 0.5);
            model.train();
            model.qconfig(QConfig.qatForBackend("x86"));
            Quantization.prepareQat(model);
            model.call(input);
            model.eval();
            Quantization.convert(model);
            return model;
        }
    },
    GRAPH(2) {
        @Override
        Module of(Module model, Tensor input) {
            return Quantization.quantize(model, input, List.of(input));
        }
    };

    /**
     * How many steps of the last rounding a result may be off: an integer that is one more within
     * may make it two in the end.
     */
    final int steps;

    Form(int steps) {
        this.steps = steps;
    }

    /** Whether the results are the same but for the order of sums. */
    boolean isExact() {
        return steps == 1;
    }

    /** The changed network, which may be the given one. */
    abstract Module of(Module model, Tensor input);
}
