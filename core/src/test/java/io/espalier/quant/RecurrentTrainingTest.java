package io.espalier.quant;

import static io.espalier.quant.RecurrentNetworks.network;
import static io.espalier.quant.RecurrentNetworks.sqnr;

import static org.junit.jupiter.api.Assertions.assertTrue;

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

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@DisplayName("An LSTM or GRU that trains for integers")
class RecurrentTrainingTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(17);
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
}
