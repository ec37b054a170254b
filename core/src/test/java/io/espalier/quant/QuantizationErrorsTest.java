package io.espalier.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.graph.GraphModule;
import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Linear;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.QatPhases;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Tensors;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;

@DisplayName("Quantization used wrongly")
class QuantizationErrorsTest extends WrongUse {
    @Test
    @DisplayName("names the backends there are")
    void backend() {
        refuses(() -> model.qconfig(QConfig.forBackend("gpu")), "'gpu'", "fbgemm, x86, qnnpack");
        refuses(() -> model.qconfig(QConfig.qatForBackend("gpu")), "'gpu'", "fbgemm, x86");
    }

    @Test
    @DisplayName("says that it must be prepared, and calibrated, before it is converted")
    void order() {
        refuses(() -> Quantization.convert(model), "not prepared", "Quantization.prepare(model)");
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        refuses(() -> Quantization.convert(model), "'0'", "no data", "calibration");
        refuses(() -> Quantization.prepare(model), "prepared already", "'0'");
        refuses(() -> Quantization.fuse(model, x), "prepared already", "'0'");
        refuses(() -> Quantization.quantizeDynamic(model), "prepared already", "'0'");
    }

    @Test
    @DisplayName("says that a prepared model has another configuration than it was prepared with")
    void otherConfiguration() {
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(x);
        for (QConfig other : new QConfig[] {null, QConfig.float16()}) {
            model.qconfig(other);
            refuses(() -> Quantization.convert(model), "was prepared, but", "qconfig that it was");
        }
    }

    @Test
    @DisplayName("names the weight whose rows are too long for sums of 32 bits")
    void longRows() {
        Tensor wide = Tensors.ones(2, 100_000);
        for (QConfig qconfig : List.of(QConfig.forBackend("x86"), QConfig.forBackend("qnnpack"))) {
            var ones = new Sequential(Linear.of(Tensors.ones(3, 100_000), null));
            ones.eval();
            ones.qconfig(qconfig);
            Quantization.prepare(ones);
            ones.call(wide);
            refuses(() -> Quantization.convert(ones), "'0.weight'", "100000", "qconfig(null)");
        }
        var ones = new Sequential(Linear.of(Tensors.ones(3, 100_000), null));
        ones.eval();
        refuses(() -> Quantization.quantizeDynamic(ones), "'0.weight'", "100000");
        refuses(() -> Quantization.quantize(ones, wide, List.of(wide)), "'0.weight'", "100000");
        assertEquals(100_000, ones.call(wide).max().item_double());

        var usual = new Sequential(new Linear(100_000, 3));
        usual.eval();
        Quantization.quantizeDynamic(usual);
        assertEquals(2, usual.call(wide).size(0));
    }

    @Test
    @DisplayName("says that a converted model is converted")
    void twice() {
        model = converted();
        Tensor before = model.call(x);

        refuses(() -> Quantization.convert(model), "converted already", "'0'", "a copy");
        refuses(() -> Quantization.prepare(model), "converted already", "QuantizedLinear");
        refuses(() -> Quantization.quantizeDynamic(model), "converted already");

        assertTrue(Tensors.equal(before, model.call(x)));
    }

    @Test
    @DisplayName("says that a model of 16-bit or dynamic layers is converted")
    void twiceWithoutRanges() {
        Quantization.quantizeDynamic(model);
        refuses(() -> Quantization.quantizeDynamic(model), "converted already", "DynamicLinear");
        model = new Sequential(new Conv2d(2, 2, 1));
        model.qconfig(QConfig.float16());
        Quantization.convert(model);
        refuses(() -> Quantization.convert(model), "converted already", "'0' is a Conv2d");
    }

    @Test
    @DisplayName("names what is missing or does not fit where layers are fused")
    void fusing() {
        refuses(() -> Quantization.fuseModules(model, List.of("0", "9")), "'9'", "0, 1, 2");
        refuses(
                () -> Quantization.fuseModules(model, List.of("0", "2")),
                "(Linear, Linear)",
                "fusable are");
        refuses(() -> Quantization.fuseModules(model, List.of("0")), "two or more", "0, 1, 2");
        refuses(
                () -> Quantization.fuseModules(model, List.of(List.of("0", "1"), List.of("2"))),
                "two or more",
                "[2]");
        refuses(
                () ->
                        Quantization.fuseModules(
                                model, List.of(List.of("0", "1"), List.of("2", "1"))),
                "'1' is named twice");
        refuses(
                () -> Quantization.fuseModules(model, List.of("0", "1.relu")),
                "'relu'",
                "'1.relu'");
        refuses(() -> Quantization.fuseModules(model, List.of("", "1")), "the model itself");
        refuses(() -> Quantization.fuseModules(model, List.of(0, 1)), "list of names", "[0, 1]");
        model.train();
        refuses(() -> Quantization.fuse(model, x), "eval()");
    }

    @Test
    @DisplayName("does not fold a normalization whose statistics still change, or of another size")
    void foldingInTraining() {
        model =
                new Sequential(
                        new Linear(6, 5), new BatchNorm1d(5), new ReLU(), new BatchNorm1d(4));
        model.train();
        refuses(
                () -> Quantization.fuseModules(model, List.of("0", "1", "2")),
                "training mode",
                "eval() first, or fuseModulesQat");
        model.eval();
        refuses(() -> Quantization.fuseModules(model, List.of("0", "3")), "5 output", "4");
    }

    @Test
    @DisplayName("tells training from inference")
    void modes() {
        model.qconfig(QConfig.qatForBackend("x86"));
        refuses(() -> Quantization.prepareQat(model), "eval mode", "train()");
        model.train();
        model.qconfig(QConfig.forBackend("x86"));
        refuses(() -> Quantization.prepareQat(model), "'0'", "HistogramObserver", "qatForBackend");
        model.qconfig(QConfig.qatForBackend("x86"));
        refuses(
                () -> Quantization.prepare(model),
                "'0'",
                "FusedMovingAvgObsFakeQuantize for its activation",
                "QConfig.forBackend",
                "prepareQat");
        refuses(() -> Quantization.prepare(model, x), "'0'", "for its activation");
        model.qconfig(new QConfig(MinMaxObserver.with(), QConfig.qatForBackend("x86").weight()));
        refuses(() -> Quantization.prepare(model), "'0'", "for its weight");
        refuses(() -> Quantization.prepareQat(model), "'0'", "MinMaxObserver for its activation");
    }

    @Test
    @DisplayName("says that a converted model is not trained any more")
    void trainingConverted() {
        model = converted();
        refuses(() -> Optimizers.sgd(model.parameters(), 0.1), "no", "before it is converted");

        model = network();
        model.qconfig(QConfig.forBackend("x86"));
        model.get(0).qconfig(null);
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);
        var trainer = Trainer.of(model, Losses.mse(), Optimizers.sgd(model.parameters(), 0.1));
        refuses(
                () -> trainer.train(Dataset.of(x, Tensors.zeros(8, 4)), 1),
                "no parameter that trains",
                "before it is converted");
    }

    @Test
    @DisplayName("says what a configuration is made of, and how to leave a part in float")
    @SuppressWarnings("NullAway") // what is tried here
    void nullConfiguration() {
        ObserverFactory observers = MinMaxObserver.with();
        refuses(() -> model.qconfig(new QConfig(null, observers)), "activations", "qconfig(null)");
        refuses(() -> model.qconfig(new QConfig(observers, null)), "weights", "qconfig(null)");
        refuses(() -> new QConfig(observers, observers, null), "engine", "Engine.X86");
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    @DisplayName("names the layer whose calibration data is not finite")
    void notFinite(float value) {
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(x);
        Tensor wrong = Tensors.of(new float[] {1, 2, value, 4, 5, 6}, 1, 6);
        refuses(() -> model.call(wrong), "'0'", "NaN or infinite", "ignoreNonFinite()");
    }

    @Test
    @DisplayName("names the settings that an observer can't follow")
    void settings() {
        refuses(
                MinMaxObserver.with().qscheme(Qscheme.PER_CHANNEL_SYMMETRIC)::make,
                "MinMaxObserver",
                "per_channel_symmetric");
        refuses(MinMaxObserver.with().quantRange(7, -8)::make, "MinMaxObserver", "7…-8");
        refuses(
                () -> PerChannelMinMaxObserver.with().channelAxis(2).make().call(x),
                "dimension 2",
                "[8, 6]",
                "below 2");
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 1, 2})
    @DisplayName("names the weight whose channels lie where no kernel takes them")
    void weightAxis(int axis) {
        ObserverFactory weights =
                PerChannelMinMaxObserver.with()
                        .dtype(QuantizedType.QINT8)
                        .qscheme(Qscheme.PER_CHANNEL_SYMMETRIC)
                        .channelAxis(axis);
        var qconfig = new QConfig(MinMaxObserver.with(), weights);
        String[] words =
                axis < 0
                        ? new String[] {"channel axis of 0 or more", "-1"}
                        : new String[] {"'0.weight'", "dimension " + axis, "channel"};
        refuses(() -> Quantization.quantizeDynamic(model, qconfig), words);
        Runnable prepare =
                () -> {
                    model.qconfig(qconfig);
                    Quantization.prepare(model);
                };
        if (axis < 0) {
            refuses(prepare, words);
            return;
        }
        prepare.run();
        model.call(x);
        refuses(() -> Quantization.convert(model), words);
    }

    @Test
    @DisplayName("names the weight with zero points, which oneDNN's kernels don't take")
    void zeroPoints() {
        var qconfig =
                new QConfig(
                        MinMaxObserver.with(),
                        MinMaxObserver.with().dtype(QuantizedType.QINT8),
                        Engine.ONEDNN);
        String[] words = {"'0.weight'", "zero points", "symmetric"};
        refuses(() -> Quantization.quantizeDynamic(model, qconfig), words);
        model.qconfig(qconfig);
        Quantization.prepare(model);
        model.call(x);
        refuses(() -> Quantization.convert(model), words);
    }

    @Test
    @DisplayName("says that a model is fused, or quantized by its graph, before it is prepared")
    void prepared() {
        refuses(() -> QatPhases.freezeBatchNorm(model, true), "no fake quantization", "prepareQat");
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        refuses(() -> Quantization.fuseModules(model, List.of("0", "1")), "fuse first");
        refuses(() -> Quantization.quantize(model, x, List.of(x)), "prepared already");
        model = network();
        model = converted();
        refuses(() -> Quantization.quantize(model, x, List.of(x)), "converted already");
        model = network();
        model.qconfig(QConfig.qatForBackend("x86"));
        refuses(() -> Quantization.quantize(model, x, List.of(x)), "which rounds in training");
        GraphModule graph = Quantization.quantize(network(), x, List.of(x));
        refuses(() -> Quantization.quantize(graph, x, List.of(x)), "converted already");
    }

    @Test
    @DisplayName("says that there is nothing to quantize dynamically")
    void nothingDynamic() {
        model = new Sequential(new ReLU());
        refuses(() -> Quantization.quantizeDynamic(model), "Sequential", "no layer", "Linear");
    }

    @Test
    @DisplayName("refuses to fuse places of a Sequential that are not called one after the other")
    void notInARow() {
        model = new Sequential(new Linear(6, 6), new Linear(6, 6), new ReLU(), new Linear(6, 5));
        model.eval();
        refuses(
                () -> Quantization.fuseModules(model, List.of("3", "2")),
                "[3, 2]",
                "'2' is called before '3'");
        refuses(
                () -> Quantization.fuseModules(model, List.of("0", "2")),
                "between '0' and '2' there is Linear '1'");
    }
}
