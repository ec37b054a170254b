package io.espalier.bench;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv2d;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

class SharedModelsTest {
    private static final Duration MOMENT = Duration.ofMillis(300);

    @Test
    @DisplayName("threads get from a shared network what one thread got")
    void agree() throws InterruptedException {
        var network = new Sequential(new Conv2d(3, 4, 3), new ReLU(), new Linear(94, 2));

        assertTrue(SharedModels.of(network).run(MOMENT));
    }

    @Test
    @DisplayName("a network that does not give the same each time is found out")
    void differ() throws InterruptedException {
        var network =
                new Module() {
                    private final AtomicLong calls = new AtomicLong();

                    @Override
                    protected Tensor forward(Tensor x) {
                        return x.add(new Scalar((double) calls.incrementAndGet()));
                    }
                };

        assertFalse(new SharedModels(List.of(network), List.of(Tensors.randn(2))).run(MOMENT));
    }

    @Test
    @DisplayName("a network that fails is found out")
    void fail() throws InterruptedException {
        var calls = new AtomicLong();
        var network =
                new Module() {
                    @Override
                    protected Tensor forward(Tensor x) {
                        if (calls.incrementAndGet() > 20) {
                            throw new EspalierException("Enough.");
                        }
                        return x;
                    }
                };

        assertFalse(new SharedModels(List.of(network), List.of(Tensors.randn(2))).run(MOMENT));
    }
}
