package io.espalier.train;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class LossesTest {
    private static final double[][] SCORES = {{1, 2, 0.5}, {-1, 0, 3}};
    private static final int[] CLASSES = {1, 0};

    private static Tensor scores() {
        return Tensors.of(new float[] {1, 2, 0.5f, -1, 0, 3}, 2, 3);
    }

    private static Tensor classes() {
        return Tensors.of(new long[] {1, 0}, 2);
    }

    private static double logShare(double[] row, int c, double temperature) {
        double sum = 0;
        for (double score : row) {
            sum += Math.exp(score / temperature);
        }
        return row[c] / temperature - Math.log(sum);
    }

    private static double value(Loss loss, Tensor output, Tensor target) {
        return loss.of(output, target).item_double();
    }

    @Test
    @DisplayName("cross entropy is the mean negative log share of the right class, smoothed or not")
    void crossEntropy() {
        double plain = 0;
        double uniform = 0;
        for (int n = 0; n < 2; n++) {
            plain -= logShare(SCORES[n], CLASSES[n], 1) / 2;
            for (int c = 0; c < 3; c++) {
                uniform -= logShare(SCORES[n], c, 1) / 6;
            }
        }
        assertEquals(plain, value(Losses.crossEntropy(), scores(), classes()), 1e-6);
        assertEquals(
                0.8 * plain + 0.2 * uniform,
                value(Losses.crossEntropy(0.2), scores(), classes()),
                1e-6);
        assertEquals(plain, value(Losses.nll(), scores().log_softmax(1), classes()), 1e-6);
        assertEquals(
                -logShare(SCORES[1], 0, 1),
                value(Losses.crossEntropy(), scores(), Tensors.of(new long[] {-100, 0}, 2)),
                1e-6,
                "class -100 is left out");
    }

    @Test
    @DisplayName("regression losses are means over all elements")
    void regression() {
        Tensor output = Tensors.of(1, 2, 3, 4);
        Tensor target = Tensors.of(1, 2.5f, 1, 7);
        assertEquals((0.25 + 4 + 9) / 4, value(Losses.mse(), output, target), 1e-6);
        assertEquals((0.5 + 2 + 3) / 4, value(Losses.l1(), output, target), 1e-6);
        // Below delta 1 half the square, above the distance less a half.
        assertEquals((0.125 + 1.5 + 2.5) / 4, value(Losses.huber(1), output, target), 1e-6);
    }

    @Test
    @DisplayName("binary cross entropy takes scores and probabilities")
    void binary() {
        double expected =
                -(Math.log(1 / (1 + Math.exp(-2))) + Math.log(1 - 1 / (1 + Math.exp(1)))) / 2;
        assertEquals(
                expected,
                value(Losses.binaryCrossEntropyWithLogits(), Tensors.of(2, -1), Tensors.of(1, 0)),
                1e-6);
    }

    @Test
    @DisplayName("distillation is the softened divergence from the teacher, 0 at its scores")
    void distillation() {
        Tensor teacher = Tensors.of(new float[] {0, 1, 2, 1, 1, 1}, 2, 3);
        double[][] teacherScores = {{0, 1, 2}, {1, 1, 1}};
        double divergence = 0;
        for (int n = 0; n < 2; n++) {
            for (int c = 0; c < 3; c++) {
                double share = logShare(teacherScores[n], c, 4);
                divergence += Math.exp(share) * (share - logShare(SCORES[n], c, 4)) / 2;
            }
        }
        assertEquals(16 * divergence, value(Losses.distillation(4), scores(), teacher), 1e-5);
        assertEquals(0, value(Losses.distillation(4), teacher, teacher), 1e-6);
    }

    @Test
    @DisplayName("gradients flow through every loss")
    void gradients() {
        Tensor target = Tensors.of(new float[] {0, 1, 0, 1, 0, 0}, 2, 3);
        for (Loss loss :
                new Loss[] {
                    Losses.crossEntropy(),
                    Losses.crossEntropy(0.1),
                    Losses.mse(),
                    Losses.l1(),
                    Losses.huber(0.5),
                    Losses.binaryCrossEntropyWithLogits(),
                    Losses.distillation(2)
                }) {
            Tensor output = scores().set_requires_grad(true);
            loss.of(output, target).backward();
            assertTrue(output.grad().abs().sum().item_float() > 0);
        }
    }

    @Test
    @DisplayName("shapes that don't fit and settings out of range are named")
    void wrongUse() {
        assertEquals(
                "The loss mse needs output and target of one shape; they have [2, 3] and [2].",
                messageOf(() -> Losses.mse().of(scores(), classes())));
        String message =
                messageOf(() ->
                        Losses.crossEntropy().of(scores(), Tensors.of(new long[] {1, 2, 0}, 3)));
        assertTrue(
                message.startsWith("The loss crossEntropy of output and target [2, 3] and [3]: "),
                message);
        String type =
                messageOf(() -> Losses.crossEntropy().of(scores(), classes().to(ScalarType.Int)));
        assertTrue(type.startsWith("The loss crossEntropy of output and target "), type);
        assertEquals(
                "Label smoothing must be from 0 to 1; asked for 1.5.",
                messageOf(() -> Losses.crossEntropy(1.5)));
        assertEquals(
                "Huber's delta must be above 0; asked for 0.0.", messageOf(() -> Losses.huber(0)));
        assertEquals(
                "The temperature must be above 0; asked for NaN.",
                messageOf(() -> Losses.distillation(Double.NaN)));
    }
}
