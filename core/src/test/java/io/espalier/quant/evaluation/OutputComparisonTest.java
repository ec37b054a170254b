package io.espalier.quant.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.data.ModelInputs;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;

@DisplayName("Comparing the outputs of two models")
class OutputComparisonTest {
    private static final Tensor X = Tensors.of(new float[] {3, 0, 0, 4, 0, 0}, 3, 2);

    private static final class Function extends Module {
        private final UnaryOperator<Tensor> function;

        Function(UnaryOperator<Tensor> function) {
            this.function = function;
        }

        @Override
        protected Tensor forward(Tensor x) {
            return function.apply(x);
        }
    }

    private static OutputComparison compare(UnaryOperator<Tensor> other, Runnable afterBatch) {
        var data = Dataset.of(X, Tensors.zeros(3));
        return OutputComparison.compare(
                new Function(x -> x), new Function(other), ModelInputs.of(data, 2), afterBatch);
    }

    @Test
    @DisplayName("gives the figures of their differences over all batches")
    void figures() {
        var batches = new AtomicInteger();

        OutputComparison found = compare(x -> x.add(Tensors.of(0f, 1f)), batches::incrementAndGet);

        assertEquals(2, batches.get());
        assertEquals(3, found.examples());
        assertEquals(1, found.maxError());
        assertEquals(0.5, found.meanError());
        assertEquals((9 + 20) / (5 * Math.sqrt(9 + 1 + 25 + 1)), found.cosine(), 1e-12);
        assertEquals(10 * Math.log10(25.0 / 3), found.sqnr(), 1e-12);
        assertEquals(2.0 / 3, found.agreement());
        assertTrue(found.referenceMillis() > 0);
    }

    @Test
    @DisplayName("finds equal outputs equal")
    void equal() {
        OutputComparison found = compare(x -> x.clone(), () -> {});

        assertEquals(1, found.cosine(), 1e-12);
        assertEquals(0, found.maxError());
        assertEquals(Double.POSITIVE_INFINITY, found.sqnr());
        assertEquals(1, found.agreement());
    }

    @Test
    @DisplayName("is refused where the outputs have other shapes")
    void shapes() {
        assertThrows(EspalierException.class, () -> compare(x -> x.sum(1), () -> {}));
    }
}
