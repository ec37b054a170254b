package io.espalier.quant;

import io.espalier.nn.Module;

import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** The ways in which a float model, in inference mode, becomes a quantized one. */
enum EveryWay {
    STATIC {
        @Override
        Module quantized(Module model, Tensor x) {
            model.qconfig(QConfig.forBackend("x86"));
            Quantization.prepare(model);
            model.call(x);
            Quantization.convert(model);
            return model;
        }
    },
    TRAINED {
        @Override
        Module quantized(Module model, Tensor x) {
            model.qconfig(QConfig.qatForBackend("x86"));
            model.train();
            Quantization.prepareQat(model);
            model.eval();
            model.call(x);
            Quantization.convert(model);
            return model;
        }
    },
    DYNAMIC {
        @Override
        Module quantized(Module model, Tensor x) {
            Quantization.quantizeDynamic(model);
            return model;
        }
    },
    HALF {
        @Override
        Module quantized(Module model, Tensor x) {
            model.qconfig(QConfig.float16());
            Quantization.convert(model);
            return model;
        }
    },
    GRAPH {
        @Override
        Module quantized(Module model, Tensor x) {
            return Quantization.quantize(model, x, List.of(x));
        }
    };

    /** The quantized form of a model; where the way changes models in place, it is the model. */
    abstract Module quantized(Module model, Tensor x);
}
