package io.espalier.train;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/** The optimizers against their papers' formulas, on one weight with gradient 2 w. */
class OptimizersTest {
    private static final double START = 3;
    private static final int STEPS = 5;

    private static double run(Function<List<Tensor>, Optimizer> maker) {
        Tensor weight;
        Optimizer optimizer;
        try (var scope = new PointerScope()) {
            weight = Tensors.keep(Tensors.of((float) START)).set_requires_grad(true);
            Tensors.keep(weight);
            optimizer = maker.apply(List.of(weight));
        }
        for (int step = 0; step < STEPS; step++) {
            optimizer.zero_grad();
            weight.mul(weight).sum().backward();
            optimizer.step();
        }
        return weight.detach().mul(new Scalar(1)).item_double();
    }

    @Test
    @DisplayName("SGD with momentum, dampening and weight decay, and Nesterov's")
    void sgd() {
        double w = START;
        for (int step = 0; step < STEPS; step++) {
            w -= 0.1 * 2 * w;
        }
        assertEquals(w, run(p -> Optimizers.sgd(p, 0.1)), 1e-5);

        w = START;
        double velocity = 0;
        for (int step = 0; step < STEPS; step++) {
            double gradient = 2 * w + 0.3 * w;
            velocity = step == 0 ? gradient : 0.9 * velocity + (1 - 0.2) * gradient;
            w -= 0.1 * velocity;
        }
        assertEquals(
                w,
                run(p ->
                        Optimizers.sgd(
                                p, 0.1, s -> s.momentum(0.9).dampening(0.2).weightDecay(0.3))),
                1e-5);

        w = START;
        velocity = 0;
        for (int step = 0; step < STEPS; step++) {
            double gradient = 2 * w;
            velocity = 0.9 * velocity + gradient;
            w -= 0.1 * (gradient + 0.9 * velocity);
        }
        assertEquals(
                w, run(p -> Optimizers.sgd(p, 0.1, s -> s.nesterov(true).momentum(0.9))), 1e-5);
    }

    @Test
    @DisplayName("Adam adds weight decay to the gradient, AdamW takes it from the weight")
    void adam() {
        for (boolean decoupled : new boolean[] {false, true}) {
            double w = START;
            double mean = 0;
            double square = 0;
            for (int step = 1; step <= STEPS; step++) {
                double gradient = 2 * w + (decoupled ? 0 : 0.2 * w);
                if (decoupled) {
                    w -= 0.1 * 0.2 * w;
                }
                mean = 0.8 * mean + 0.2 * gradient;
                square = 0.95 * square + 0.05 * gradient * gradient;
                double unbiased = mean / (1 - Math.pow(0.8, step));
                w -= 0.1 * unbiased / (Math.sqrt(square / (1 - Math.pow(0.95, step))) + 1e-3);
            }
            UnaryOperator<AdamSettings> with =
                    s -> s.betas(0.8, 0.95).epsilon(1e-3).weightDecay(0.2);
            assertEquals(
                    w,
                    run(p ->
                            decoupled
                                    ? Optimizers.adamW(p, 0.1, with)
                                    : Optimizers.adam(p, 0.1, with)),
                    1e-4);
        }
    }

    @Test
    @DisplayName("a tensor that is no parameter is refused in one line")
    void noLeaf() {
        Tensor computed = Tensors.ones(2).set_requires_grad(true).mul(new Scalar(2));
        assertEquals(
                "Making an optimizer: can't optimize a non-leaf Tensor",
                messageOf(() -> Optimizers.adam(List.of(computed), 0.1)));
    }

    @Test
    @DisplayName("settings out of range and no parameters are named")
    void wrongUse() {
        List<Tensor> parameters = List.of(Tensors.ones(1));
        assertEquals(
                "An optimizer needs at least one parameter; it got none. A converted model has none"
                        + " left: train it before it is converted.",
                messageOf(() -> Optimizers.sgd(List.of(), 0.1)));
        assertEquals(
                "The learning rate must be 0 or more; asked for -1.0.",
                messageOf(() -> Optimizers.sgd(parameters, -1)));
        assertEquals(
                "Nesterov needs a momentum above 0 and no dampening; momentum is 0.0, dampening"
                        + " 0.0.",
                messageOf(() -> Optimizers.sgd(parameters, 0.1, s -> s.nesterov(true))));
        assertEquals(
                "Beta 2 must be 0 or more and below 1; asked for 1.0.",
                messageOf(() -> Optimizers.adam(parameters, 0.1, s -> s.betas(0.9, 1))));
    }
}
