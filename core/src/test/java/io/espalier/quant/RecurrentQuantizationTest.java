package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;
import static io.espalier.quant.RecurrentNetworks.network;
import static io.espalier.quant.RecurrentNetworks.quantize;
import static io.espalier.quant.RecurrentNetworks.sqnr;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

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
import java.util.List;

@DisplayName("An LSTM or GRU")
class RecurrentQuantizationTest {
    @TempDir Path directory;

    @BeforeEach
    void seed() {
        Libtorch.seed(17);
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
}
