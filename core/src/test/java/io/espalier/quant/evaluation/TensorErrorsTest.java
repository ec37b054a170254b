package io.espalier.quant.evaluation;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("Errors of tensors")
class TensorErrorsTest {
    private static final float INF = Float.POSITIVE_INFINITY;

    @Test
    @DisplayName("are those of all pairs together")
    void sums() {
        var errors = new TensorErrors();

        errors.add(Tensors.of(3, 4), Tensors.of(3, 4));
        errors.add(Tensors.of(0, 0), Tensors.of(-3, 0));

        assertEquals(4, errors.values());
        assertEquals(3, errors.largest());
        assertEquals(0.75, errors.mean());
        assertEquals(0.6, errors.relative(), 1e-12);
        assertEquals(25 / Math.sqrt(25 * 34), errors.cosine(), 1e-12);
        assertEquals(10 * Math.log10(25.0 / 9), errors.sqnr(), 1e-12);
    }

    @Test
    @DisplayName("are none between equal tensors, numbers that are not finite too")
    void equal() {
        var errors = new TensorErrors();

        errors.add(Tensors.of(1, INF, -INF, Float.NaN), Tensors.of(1, INF, -INF, Float.NaN));
        errors.add(Tensors.of(INF), Tensors.of(INF));
        errors.add(Tensors.zeros(0, 3), Tensors.zeros(0, 3));

        assertEquals(0, errors.largest());
        assertEquals(0, errors.relative());
        assertEquals(1, errors.cosine());
        assertEquals(Double.POSITIVE_INFINITY, errors.sqnr());
    }

    @Test
    @DisplayName("are infinite where one is finite and the other is not")
    void notFinite() {
        for (float wrong : new float[] {INF, -INF, Float.NaN}) {
            var errors = new TensorErrors();

            errors.add(Tensors.of(1, 2), Tensors.of(1, wrong));
            errors.add(Tensors.of(1, 2), Tensors.of(1, 2));

            assertEquals(Double.POSITIVE_INFINITY, errors.largest());
            assertEquals(Double.POSITIVE_INFINITY, errors.relative());
            assertTrue(Double.isNaN(errors.cosine()));
        }
    }

    @Test
    @DisplayName("need equal shapes")
    void shapes() {
        assertTrue(
                messageOf(() -> new TensorErrors().add(Tensors.zeros(2, 3), Tensors.zeros(3, 2)))
                        .startsWith("One model's output is [2, 3], the other's [3, 2];"));
    }
}
