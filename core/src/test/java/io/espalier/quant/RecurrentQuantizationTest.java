package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.GRU;
import io.espalier.nn.LSTM;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.Recurrent;
import io.espalier.nn.Sequential;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.FakeQuantize;
import io.espalier.quant.qat.LearnableFakeQuantize;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.function.UnaryOperator;

class RecurrentQuantizationTest {
    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(17);
    }

    private static Sequential network(boolean lstm, UnaryOperator<Recurrent.Options> with) {
        Sequential model = new Sequential(lstm ? new LSTM(12, 24, with) : new GRU(12, 24, with));
        model.eval();
        return model;
    }

    private static void quantize(Module model, String backend, List<List<Tensor>> calibration) {
        model.qconfig(QConfig.forBackend(backend));
        Quantization.prepare(model);
        calibration.forEach(model::callAll);
        Quantization.convert(model);
    }

    /** The signal-to-quantization-noise ratio in decibel. */
    private static double sqnr(Tensor expected, Tensor actual) {
        return 20
                * Math.log10(
                        expected.norm().item_float() / actual.sub(expected).norm().item_float());
    }

    @ParameterizedTest
    @CsvSource({
        "true,fbgemm,1,false,true",
        "true,x86,2,true,true",
        "true,onednn,2,true,true",
        "true,qnnpack,1,true,false",
        "false,fbgemm,2,true,true",
        "false,x86,1,true,false",
        "false,onednn,1,false,true",
        "false,qnnpack,2,false,true"
    })
    @DisplayName("A converted network is near its float original, states too, saved and loaded too")
    void isNearTheOriginal(
            boolean lstm, String backend, long layers, boolean bidirectional, boolean bias) {
        Sequential original =
                network(lstm, o -> o.layers(layers).bidirectional(bidirectional).bias(bias));
        Sequential model = original.copy();
        Tensor x = Tensors.randn(9, 4, 12);
        List<Tensor> expected = original.callAll(List.of(x));

        quantize(model, backend, List.of(List.of(x), List.of(Tensors.randn(9, 4, 12))));

        List<Tensor> actual = model.callAll(List.of(x));
        double least = backend.equals("fbgemm") || backend.equals("x86") ? 30 : 24;
        assertEquals(expected.size(), actual.size());
        for (int i = 0; i < actual.size(); i++) {
            assertEquals(ScalarType.Float, Tensors.type(actual.get(i)));
            double sqnr = sqnr(expected.get(i), actual.get(i));
            assertTrue(sqnr > least && sqnr < 60, backend + " output " + i + ": " + sqnr + " dB");
        }
        Path file = directory.resolve("network.safetensors");
        Quantization.save(model, file);
        Sequential back = Quantization.load(original, file);
        assertEquals(model.toString(), back.toString());
        assertEquals(ScalarType.Char, Tensors.type(back.module("0.ih_l0").buffer("weight")));
        for (int i = 0; i < actual.size(); i++) {
            assertClose(actual.get(i), back.callAll(List.of(x)).get(i), 0);
            assertClose(actual.get(i), model.<Sequential>copy().callAll(List.of(x)).get(i), 0);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("A network starts from the state it is given, and takes what it gave back")
    void takesStates(boolean lstm) {
        Sequential original = network(lstm, o -> o.layers(2));
        Sequential model = original.copy();
        Tensor x = Tensors.randn(8, 3, 12);
        Tensor h = Tensors.randn(2, 3, 24).mul(new Scalar(0.5));
        Tensor c = Tensors.randn(2, 3, 24);
        List<Tensor> inputs = lstm ? List.of(x, h, c) : List.of(x, h);
        quantize(model, "x86", List.of(inputs));
        Tensor expected = original.callAll(inputs).getFirst();
        List<Tensor> whole = model.callAll(inputs);
        assertTrue(sqnr(expected, whole.getFirst()) > 25, "" + sqnr(expected, whole.getFirst()));

        List<Tensor> begin =
                model.callAll(
                        lstm ? List.of(x.narrow(0, 0, 5), h, c) : List.of(x.narrow(0, 0, 5), h));
        List<Tensor> end =
                model.callAll(
                        lstm
                                ? List.of(x.narrow(0, 5, 3), begin.get(1), begin.get(2))
                                : List.of(x.narrow(0, 5, 3), begin.get(1)));
        assertClose(whole.getFirst().narrow(0, 5, 3), end.getFirst(), 1e-6f);
        assertClose(whole.get(1), end.get(1), 1e-6f);
        assertTrue(
                messageOf(() -> model.call(x, Tensors.randn(2, 1, 24)))
                        .matches(lstm ? ".*takes a sequence.*" : ".*it is \\[2, 1, 24].*"));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("The batch may come first, or not at all")
    void takesBothLayouts(boolean lstm) {
        Sequential original = network(lstm, o -> o.bidirectional(true));
        Sequential first = network(lstm, o -> o.bidirectional(true).batchFirst(true));
        first.loadStateDict(original.stateDict());
        Tensor x = Tensors.randn(7, 3, 12);
        Sequential model = original.copy();
        quantize(model, "fbgemm", List.of(List.of(x)));
        quantize(first, "fbgemm", List.of(List.of(x.transpose(0, 1))));
        Tensor y = model.call(x);
        assertClose(y, first.call(x.transpose(0, 1)).transpose(0, 1), 1e-6f);
        List<Tensor> one = model.callAll(List.of(x.select(1, 2)));
        assertArrayEquals(new long[] {7, 48}, Tensors.shape(one.getFirst()));
        assertArrayEquals(new long[] {2, 24}, Tensors.shape(one.get(1)));
        assertClose(y.select(1, 2), one.getFirst(), 1e-6f);
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

    @Test
    @DisplayName("Between quantized layers integers go in and out, and no input is observed twice")
    void standsBetweenQuantizedLayers() {
        var model = new Tagger();
        model.eval();
        Tensor x = Tensors.randn(5, 4, 6);
        Tensor expected = model.call(x);
        Module original = model.copy();
        quantize(model, "x86", List.of(List.of(x)));
        assertTrue(sqnr(expected, model.call(x)) > 25);
        assertFalse(model.module("lstm").hasBuffer("input_scale"));
        model.module("lstm")
                .onInput((module, tensors) -> {
                    assertTrue(tensors.getFirst().is_quantized());
                    return tensors;
                });
        model.module("out")
                .onInput((module, tensors) -> {
                    assertTrue(tensors.getFirst().is_quantized());
                    return tensors;
                });
        Tensor y = model.call(x);
        Path file = directory.resolve("tagger.safetensors");
        Quantization.save(model, file);
        assertClose(y, Quantization.load(original, file).call(x), 0);
        assertTrue(
                model.toString()
                        .replaceAll("scale=[0-9.e-]+, zero_point=[0-9]+", "#")
                        .contains(
                                """
                                  (lstm): QuantizedLSTM(
                                    12, 24, #
                                    (ih_l0): GateLinear(in_features=12, out_features=96, qscheme=torch.per_channel_affine)
                                    (hh_l0): GateLinear(in_features=24, out_features=96, qscheme=torch.per_channel_affine)
                                  )
                                """));
    }

    @Test
    @DisplayName("A network that saw no data is named when it is converted, and nothing is changed")
    void namesUncalibrated() {
        var model = new Tagger();
        model.eval();
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        String prepared = model.toString();
        model.module("in").call(Tensors.randn(2, 2, 6));
        assertTrue(
                messageOf(() -> Quantization.convert(model))
                        .startsWith(
                                "HistogramObserver at 'lstm.activation_post_process' has seen"));
        assertTrue(prepared.contains("(lstm): QuantizableLSTM("));
        assertTrue(model.toString().contains("(lstm): QuantizableLSTM("));
    }

    @Test
    @DisplayName("A prepared network computes what the float one does, and keeps its state's names")
    void preparedIsFloat() {
        Sequential original = network(true, o -> o.layers(2).bidirectional(true).batchFirst(true));
        Sequential model = original.copy();
        model.qconfig(QConfig.forBackend("onednn"));
        Quantization.prepare(model);
        Tensor x = Tensors.randn(3, 5, 12);
        List<Tensor> expected = original.callAll(List.of(x));
        List<Tensor> actual = model.callAll(List.of(x));
        for (int i = 0; i < 3; i++) {
            assertClose(expected.get(i), actual.get(i), 1e-6f);
        }
        assertTrue(model.stateDict().keySet().containsAll(original.stateDict().keySet()));
    }

    @Test
    @DisplayName("Pruned weights are exact zeros in the integers")
    void keepsMasks() {
        Sequential model = network(true, o -> o);
        Module lstm = model.get(0);
        Tensor kept = Tensors.rand(96, 24).gt(new Scalar(0.7)).to(ScalarType.Float);
        Mask mask = new Mask("weight_hh_l0");
        lstm.storeAs("weight_hh_l0", mask.storedName());
        lstm.addBuffer(mask.bufferName(), kept);
        lstm.parametrize("weight_hh_l0", mask);
        quantize(model, "x86", List.of(List.of(Tensors.randn(4, 2, 12))));
        Tensor integers = model.module("0.hh_l0").buffer("weight");
        assertEquals(0, integers.masked_select(kept.eq(new Scalar(0))).abs().sum().item_long());
        assertTrue(integers.abs().sum().item_long() > 0);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("Training for integers rounds weights and outputs, learns, and converts")
    void trains(boolean lstm) {
        Sequential model = network(lstm, o -> o.layers(2).dropout(0.1));
        model.train();
        model.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(model);
        assertTrue(model.toString().contains("(weight_hh_l1_fake_quant): FusedMovingAvg"));
        Tensor x = Tensors.randn(6, 8, 12);
        Tensor target = Tensors.randn(6, 8, 24).tanh();
        var optimizer = Optimizers.adam(model.parameters(), 1e-2);
        float first = 0;
        float last = 0;
        for (int i = 0; i < 30; i++) {
            optimizer.zero_grad();
            Tensor loss = model.call(x).sub(target).pow(new Scalar(2L)).mean();
            loss.backward();
            optimizer.step();
            last = loss.item_float();
            first = i == 0 ? last : first;
        }
        assertTrue(last < 0.9 * first, first + " → " + last);
        for (int i = 0; i < 300; i++) {
            model.call(x); // the ranges, averages over many batches, catch up with the weights
        }
        model.eval();
        Tensor simulated = model.call(x).detach();
        Quantization.convert(model);
        assertTrue(sqnr(simulated, model.call(x)) > 25, "" + sqnr(simulated, model.call(x)));
    }

    @Test
    @DisplayName("A learned scale is initialized by its weight, and converts")
    void learnsScales() {
        Sequential model = network(true, o -> o);
        model.train();
        model.qconfig(
                new QConfig(
                        FakeQuantize.with(),
                        LearnableFakeQuantize.with(
                                MinMaxObserver.with()
                                        .dtype(QuantizedType.QINT8)
                                        .qscheme(Qscheme.PER_TENSOR_SYMMETRIC)),
                        Engine.FBGEMM));
        Quantization.prepareQat(model);
        Tensor x = Tensors.randn(6, 8, 12);
        model.call(x).sum().backward();
        Tensor scale = model.module("0.weight_ih_l0_fake_quant").parameter("scale");
        assertTrue(scale.item_float() < 0.01 && scale.grad().abs().sum().item_float() > 0);
        model.eval();
        Tensor simulated = model.call(x).detach();
        Quantization.convert(model);
        assertTrue(sqnr(simulated, model.call(x)) > 25, "" + sqnr(simulated, model.call(x)));
    }

    @Test
    @DisplayName("Empty sequences are refused")
    void refusesEmpty() {
        Sequential model = network(true, o -> o);
        quantize(model, "x86", List.of(List.of(Tensors.randn(4, 2, 12))));
        for (long[] shape : new long[][] {{0, 2, 12}, {4, 0, 12}}) {
            assertTrue(
                    messageOf(() -> model.call(Tensors.zeros(shape)))
                            .endsWith(": sequences of at least one element are needed."));
        }
    }

    @Test
    @DisplayName("Eight threads on one model give what one gives")
    void runsConcurrently() throws Exception {
        var model = new Tagger();
        model.eval();
        Tensor x = Tensors.randn(5, 4, 6);
        quantize(model, "x86", List.of(List.of(x)));
        float[] expected = Tensors.floats(model.call(x));
        Callable<float[]> work =
                () -> {
                    float[] last = new float[0];
                    for (int i = 0; i < 30; i++) {
                        try (var scope = new PointerScope()) {
                            last = Tensors.floats(model.call(x));
                        }
                    }
                    return last;
                };
        try (var threads = Executors.newFixedThreadPool(8)) {
            for (var result : threads.invokeAll(Collections.nCopies(8, work))) {
                assertArrayEquals(expected, result.get());
            }
        }
    }
}
