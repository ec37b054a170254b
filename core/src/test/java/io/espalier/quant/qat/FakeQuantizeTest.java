package io.espalier.quant.qat;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.quant.observer.FixedQParamsObserver;
import io.espalier.quant.observer.HistogramObserver;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.MovingAveragePerChannelMinMaxObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.quant.observer.PerChannelMinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class FakeQuantizeTest {
    private static FakeQuantize make(ObserverFactory factory) {
        return (FakeQuantize) factory.make();
    }

    @Test
    @DisplayName("rounds to the observed steps; gradients stop where a value was clamped")
    void rounds() {
        FakeQuantize fake =
                make(
                        FakeQuantize.with(
                                MovingAverageMinMaxObserver.with()
                                        .dtype(QuantizedType.QINT8)
                                        .qscheme(Qscheme.PER_TENSOR_SYMMETRIC)));
        fake.call(Tensors.of(-12.75f, 12.75f)); // a step of 0.1
        fake.enableObserver(false);
        Tensor x = Tensors.of(0.12f, -0.26f, 40f).set_requires_grad(true);

        Tensor y = fake.call(x);
        y.sum().backward();

        assertArrayEquals(new float[] {0.1f, -0.3f, 12.7f}, Tensors.floats(y), 1e-5f);
        assertArrayEquals(new float[] {1, 1, 0}, Tensors.floats(x.grad()));
        assertEquals(0.1f, fake.quantizationParameters().scale(), 1e-6f);
    }

    @Test
    @DisplayName("observing and rounding switch off and on; off, the input itself passes")
    void switches() {
        FakeQuantize fake = make(FakeQuantize.with());
        Tensor x = Tensors.of(-1f, 1f);
        fake.enableObserver(false);
        fake.enableFakeQuant(false);

        assertSame(x, fake.call(x));
        assertFalse(fake.hasObserved());
        fake.enableObserver(true);
        fake.call(x);
        assertTrue(fake.hasObserved());
        assertTrue(fake.isObserverEnabled());
        assertFalse(fake.isFakeQuantEnabled());
    }

    @Test
    @DisplayName("per channel, scales take the number of channels, and load into a fresh one")
    void perChannel() {
        ObserverFactory factory = FakeQuantize.with(PerChannelMinMaxObserver.with());
        FakeQuantize fake = make(factory);
        fake.call(Tensors.of(new float[] {-1, 1, -2, 2, 0, 4}, 3, 2));
        FakeQuantize fresh = make(factory);

        fresh.loadStateDict(fake.stateDict());

        assertArrayEquals(
                new float[] {2 / 255f, 4 / 255f, 4 / 255f}, Tensors.floats(fake.buffer("scale")));
        assertEquals(fake.quantizationParameters(), fresh.quantizationParameters());
        assertEquals(fake.toString(), fresh.toString());
    }

    @Test
    @DisplayName("prints as PyTorch does, fused and not")
    void prints() {
        assertEquals(
                """
                FakeQuantize(
                  fake_quant_enabled=tensor([1], dtype=torch.uint8), observer_enabled=tensor([1], \
                dtype=torch.uint8), quant_min=0, quant_max=255, dtype=torch.quint8, \
                qscheme=torch.per_tensor_affine, ch_axis=-1, scale=tensor([1.]), \
                zero_point=tensor([0], dtype=torch.int32)
                  (activation_post_process): MovingAverageMinMaxObserver(min_val=inf, max_val=-inf)
                )\
                """,
                FakeQuantize.with().make().toString());
        assertEquals(
                """
                FusedMovingAvgObsFakeQuantize(
                  fake_quant_enabled=tensor([1]), observer_enabled=tensor([1]), \
                scale=tensor([1.]), zero_point=tensor([0], dtype=torch.int32), \
                dtype=torch.quint8, quant_min=0, quant_max=127, qscheme=torch.per_tensor_affine, \
                reduce_range=True
                  (activation_post_process): MovingAverageMinMaxObserver(min_val=inf, max_val=-inf)
                )\
                """,
                FusedMovingAvgObsFakeQuantize.with(
                                MovingAverageMinMaxObserver.with().reduceRange(true))
                        .make()
                        .toString());
    }

    @Test
    @DisplayName("fused and separate steps say the same over a run of batches")
    void fusedEqualsSeparate() {
        var settings =
                new ObserverSettings[] {
                    MovingAverageMinMaxObserver.with(0.1),
                    MovingAveragePerChannelMinMaxObserver.with(0.1)
                            .dtype(QuantizedType.QINT8)
                            .qscheme(Qscheme.PER_CHANNEL_SYMMETRIC)
                };
        for (ObserverSettings each : settings) {
            FakeQuantize separate = make(FakeQuantize.with(each));
            FakeQuantize fused = make(FusedMovingAvgObsFakeQuantize.with(each));
            for (int i = 0; i < 5; i++) {
                Tensor x = Tensors.randn(4, 50).mul(new Scalar(1f + i));
                Tensor apart = separate.call(x);
                // libtorch's own symmetric scale may be larger by up to one part in 127.
                float step = separate.qscheme().isSymmetric() ? 0.2f : 1e-5f;
                assertArrayEquals(Tensors.floats(apart), Tensors.floats(fused.call(x)), step);
            }
            assertArrayEquals(
                    separate.quantizationParameters().scales(),
                    fused.quantizationParameters().scales(),
                    1e-6f);
        }
    }

    @Test
    @DisplayName("NaN and infinity are refused by place, fused and not, and leave no trace")
    void refusesNonFinite() {
        for (Observer fake :
                List.of(
                        FakeQuantize.with().make(),
                        FusedMovingAvgObsFakeQuantize.with().make(),
                        FusedMovingAvgObsFakeQuantize.with(
                                        MovingAveragePerChannelMinMaxObserver.with())
                                .make())) {
            fake.standsAt("body.0");
            Tensor good = Tensors.of(new float[] {-1, 2}, 2, 1);
            for (float wrong : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
                Tensor bad = Tensors.of(new float[] {3, wrong}, 2, 1);
                String message = messageOf(() -> fake.call(bad));
                assertTrue(message.contains(" at 'body.0' saw "), message);
                assertTrue(message.contains("NaN or infinite"), message);
                fake.call(good);
                String before = fake.toString();
                messageOf(() -> fake.call(bad));
                assertEquals(before, fake.toString());
            }
        }
    }

    @Test
    @DisplayName("a fused one needs an observer that averages")
    void fusedNeedsAverage() {
        assertEquals(
                "FusedMovingAvgObsFakeQuantize averages by itself and can't use HistogramObserver;"
                        + " give it a moving-average observer, or use FakeQuantize.",
                messageOf(FusedMovingAvgObsFakeQuantize.with(HistogramObserver.with())::make));
    }

    @Test
    @DisplayName("fixed parameters stay, whatever is seen")
    void fixed() {
        FakeQuantize fake =
                make(FixedQParamsFakeQuantize.with(FixedQParamsObserver.with(1 / 256.0, 0)));

        Tensor y = fake.call(Tensors.of(0.5f, 3f));

        assertArrayEquals(new float[] {0.5f, 255 / 256f}, Tensors.floats(y));
        assertTrue(
                messageOf(FixedQParamsFakeQuantize.with(MinMaxObserver.with())::make)
                        .contains("FixedQParamsObserver"));
    }

    @Test
    @DisplayName("a learnable scale starts where the observer says and then follows its gradient")
    void learns() {
        var fake =
                (LearnableFakeQuantize)
                        LearnableFakeQuantize.with(
                                        MinMaxObserver.with()
                                                .dtype(QuantizedType.QINT8)
                                                .qscheme(Qscheme.PER_TENSOR_SYMMETRIC)
                                                .quantRange(-8, 7))
                                .make();
        Tensor x = Tensors.randn(1000);
        fake.call(x);
        assertTrue(fake.isLearning());
        float start = fake.quantizationParameters().scale();
        assertEquals(Math.max(x.max().item_float(), -x.min().item_float()) / 7.5f, start, 1e-6f);

        float before = error(fake, x);
        for (int i = 0; i < 60; i++) {
            Tensor difference = fake.call(x).sub(x);
            difference.mul(difference).sum().backward();
            Tensor scale = fake.parameter("scale");
            try (var guard = new org.bytedeco.pytorch.NoGradGuard()) {
                scale.sub_(scale.grad().mul(new Scalar(0.02f)));
            }
            scale.grad().zero_();
        }

        assertNotEquals(start, fake.quantizationParameters().scale());
        assertTrue(error(fake, x) < before * 0.9f, error(fake, x) + " of " + before);
    }

    private static float error(Observer fake, Tensor x) {
        Tensor difference = fake.quantizationParameters().simulate(x).sub(x);
        return difference.mul(difference).mean().item_float();
    }
}
