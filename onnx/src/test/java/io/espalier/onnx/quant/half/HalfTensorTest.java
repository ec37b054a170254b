package io.espalier.onnx.quant.half;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;
import java.util.Random;

@DisplayName("Floats in 16 bits")
class HalfTensorTest {
    private static final int ROWS = 8;
    private static final int COLUMNS = 32;

    private static float[] gaussian(float scale) {
        var random = new Random(5);
        var values = new float[ROWS * COLUMNS];
        for (int i = 0; i < values.length; i++) {
            values[i] = scale * (float) random.nextGaussian();
        }
        return values;
    }

    private static HalfTensor of(float[] values) {
        return HalfTensor.of(ConstantTensor.floats(List.of((long) ROWS, (long) COLUMNS), values))
                .orElseThrow();
    }

    private static float[] values(HalfTensor halves) {
        float[] values = halves.halves().toFloats();
        for (int i = 0; i < values.length; i++) {
            values[i] *= (float) Math.pow(2, halves.exponent());
        }
        return values;
    }

    private static double error(float[] expected, float[] found, int column) {
        double error = 0;
        double size = 0;
        for (int i = column; i < expected.length; i += COLUMNS) {
            error += Math.pow(found[i] - expected[i], 2);
            size += Math.pow(expected[i], 2);
        }
        return Math.sqrt(error / size);
    }

    @Test
    @DisplayName("are rounded to the nearest, times nothing, where 16 bits hold them")
    void plain() {
        float[] values = gaussian(0.2f);

        HalfTensor halves = of(values);

        assertEquals(0, halves.exponent());
        assertEquals(ElementType.FLOAT16, halves.halves().type());
        float[] found = values(halves);
        for (int i = 0; i < values.length; i++) {
            assertEquals(Float.float16ToFloat(Float.floatToFloat16(values[i])), found[i]);
        }
    }

    @ParameterizedTest
    @ValueSource(floats = {1e30f, 1e6f, 1e-7f, 1e-20f})
    @DisplayName("keep their digits times a power of two, however large or small they are")
    void scaled(float scale) {
        float[] values = gaussian(scale);

        HalfTensor halves = of(values);

        assertTrue(halves.exponent() != 0);
        for (int column = 0; column < COLUMNS; column++) {
            assertTrue(error(values, values(halves), column) < 0x1p-10);
        }
    }

    @Test
    @DisplayName("keep the digits of one small column beside large ones")
    void smallColumn() {
        float[] values = gaussian(1);
        for (int i = 3; i < values.length; i += COLUMNS) {
            values[i] *= 1e-6f;
        }

        assertTrue(error(values, values(of(values)), 3) < 0x1p-10);
    }

    @Test
    @DisplayName("may lose a column that is nothing beside the others")
    void deadColumn() {
        float[] values = gaussian(1);
        for (int i = 3; i < values.length; i += COLUMNS) {
            values[i] *= 1e-16f;
        }

        HalfTensor halves = of(values);

        assertEquals(0, halves.exponent());
        assertEquals(0, Math.abs(values(halves)[3]));
    }

    @Test
    @DisplayName("stay finite at the end of the range, as masks are")
    void masks() {
        var values = new float[ROWS * COLUMNS];
        for (int i = 0; i < values.length; i += 2) {
            values[i] = -Float.MAX_VALUE;
        }

        float[] found = values(of(values));

        assertTrue(Float.isFinite(found[0]) && found[0] < -3.3e38f, () -> "" + found[0]);
        assertEquals(0, found[1]);
    }

    @Test
    @DisplayName("stay infinite, and no number, where they are")
    void infinite() {
        float[] values = gaussian(1);
        values[0] = Float.NEGATIVE_INFINITY;
        values[1] = Float.NaN;
        float[] large = values.clone();
        large[2] = 1e6f;

        for (float[] each : List.of(values, large)) {
            float[] found = values(of(each));
            assertEquals(Float.NEGATIVE_INFINITY, found[0]);
            assertTrue(Float.isNaN(found[1]));
        }
    }

    @Test
    @DisplayName("are refused where they are smaller than any power of two brings back")
    void subnormal() {
        var floats = ConstantTensor.floats(List.of(256L), new float[256]);
        var tiny = new float[256];
        tiny[7] = Float.MIN_VALUE;
        tiny[8] = 3e-39f;

        assertTrue(HalfTensor.of(floats).isPresent());
        assertTrue(HalfTensor.of(ConstantTensor.floats(List.of(256L), tiny)).isEmpty());
    }
}
