package io.espalier.quant;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.FloatFunctional;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.Observer;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

@DisplayName("That a tensor was observed")
class ObservationTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(13);
    }

    /** Keeps what its first layer gave while many other tensors are observed. */
    private static final class LongMemory extends Module {
        private final Linear first = add("first", new Linear(4, 4));
        private final Linear middle = add("middle", new Linear(4, 4));
        private final Linear last = add("last", new Linear(4, 4));
        private final FloatFunctional sum = add("sum", new FloatFunctional());

        @Override
        protected Tensor forward(Tensor x) {
            Tensor kept = first.call(x);
            Tensor y = kept;
            List<Tensor> open = new ArrayList<>();
            for (int i = 0; i < 300; i++) {
                y = middle.call(y);
                open.add(y);
            }
            Tensor end = last.call(sum.add(kept, open.getLast()));
            return sum.add(end, last.call(kept));
        }
    }

    private static List<String> inputObservers(Module model) {
        return model.namedModules().keySet().stream()
                .filter(path -> path.endsWith(Observer.INPUT))
                .toList();
    }

    @Test
    @DisplayName("is known however many others were observed since")
    void manyTensors() {
        var model = new LongMemory();
        model.eval();
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);

        model.call(Tensors.randn(2, 4));

        assertEquals(List.of("first." + Observer.INPUT), inputObservers(model));
    }

    @Test
    @DisplayName("is known in another thread, and where a model is called part by part")
    void otherThreads() throws InterruptedException {
        var model = new LongMemory();
        model.eval();
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        Tensor given = model.first.call(Tensors.randn(2, 4));

        Thread thread = Thread.ofPlatform().start(() -> model.middle.call(given));
        thread.join();

        assertEquals(List.of("first." + Observer.INPUT), inputObservers(model));
    }

    @Test
    @DisplayName("is not kept of a first call that failed: the model has what it had")
    void failedCall() {
        var model = new Sequential(new Linear(4, 4), new ReLU(), new Linear(4, 2));
        model.eval();
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        Set<String> state = Set.copyOf(model.stateDict().keySet());

        for (Tensor wrong :
                List.of(
                        Tensors.of(new float[] {1, Float.NaN, 2, 3}, 1, 4),
                        Tensors.of(new float[] {3e38f, 3e38f, -3e38f, 3e38f}, 1, 4),
                        Tensors.randn(2, 5))) {
            messageOf(() -> model.call(wrong));
            assertEquals(state, model.stateDict().keySet());
        }

        model.call(Tensors.randn(2, 4));
        assertEquals(List.of("0." + Observer.INPUT), inputObservers(model));
    }

    @Test
    @DisplayName("is known to one observer where two threads call a model first at once")
    void firstCallsAtOnce() throws InterruptedException {
        var both = new CyclicBarrier(2);
        var model = new Sequential(new Linear(1, 1), new ReLU());
        model.get(0)
                .onOutput((module, tensors) -> {
                    await(both);
                    return tensors;
                });
        model.eval();
        model.qconfig(new QConfig(MinMaxObserver.with(), MinMaxObserver.with()));
        Quantization.prepare(model);

        Thread other =
                Thread.ofPlatform().start(() -> model.call(Tensors.of(new float[] {4}, 1, 1)));
        model.call(Tensors.of(new float[] {-6}, 1, 1));
        other.join();

        Observer expected = MinMaxObserver.with().make();
        expected.call(Tensors.of(-6, 4));
        var observer = (Observer) model.module("0." + Observer.INPUT);
        assertArrayEquals(
                expected.quantizationParameters().scales(),
                observer.quantizationParameters().scales());
    }

    private static void await(CyclicBarrier barrier) {
        try {
            barrier.await(60, TimeUnit.SECONDS);
        } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
            throw new AssertionError(e);
        }
    }

    /** A user's subclass of a layer that has a layer of its own. */
    private static final class Wrapped extends LayerNorm {
        private final Linear inner = add("inner", new Linear(4, 4));

        Wrapped() {
            super(4);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return inner.call(x);
        }
    }

    private static final class Holder extends Module {
        private final Linear in = add("in", new Linear(4, 4));
        private final Wrapped wrapped = add("wrapped", new Wrapped());

        @Override
        protected Tensor forward(Tensor x) {
            return wrapped.call(in.call(x));
        }
    }

    @Test
    @DisplayName("counts for nothing inside a subclass of a layer, which is handed floats")
    void insideSubclasses() {
        var model = new Holder();
        model.eval();
        Tensor x = Tensors.randn(8, 4);
        Tensor expected = model.call(x).detach();
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(x);
        assertTrue(inputObservers(model).contains("wrapped.inner." + Observer.INPUT));

        Quantization.convert(model);

        assertClose(expected, model.call(x), 0.1f);
    }
}
