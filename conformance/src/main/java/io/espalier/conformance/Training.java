package io.espalier.conformance;

import io.espalier.train.AdamSettings;
import io.espalier.train.Optimizers;

import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;

import java.util.List;

/** Optimizers as the cases write them: {@code {"type": "SGD", "lr": 0.01, "momentum": 0.9}}. */
final class Training {
    private Training() {}

    static Optimizer optimizer(Values settings, List<Tensor> parameters) {
        String type = settings.text("type");
        return switch (type) {
            case "SGD" ->
                    Optimizers.sgd(
                            parameters,
                            settings.real("lr"),
                            s ->
                                    s.momentum(real(settings, "momentum", 0))
                                            .dampening(real(settings, "dampening", 0))
                                            .weightDecay(real(settings, "weight_decay", 0))
                                            .nesterov(flag(settings, "nesterov")));
            case "Adam" -> Optimizers.adam(parameters, settings.real("lr"), s -> adam(s, settings));
            case "AdamW" ->
                    Optimizers.adamW(parameters, settings.real("lr"), s -> adam(s, settings));
            default -> throw Group.unknown("optimizer", type);
        };
    }

    private static AdamSettings adam(AdamSettings plain, Values settings) {
        List<Double> betas = settings.has("betas") ? settings.reals("betas") : List.of(0.9, 0.999);
        return plain.betas(betas.getFirst(), betas.getLast())
                .epsilon(real(settings, "eps", 1e-8))
                .weightDecay(real(settings, "weight_decay", plain.weightDecay()))
                .amsgrad(flag(settings, "amsgrad"));
    }

    private static boolean flag(Values settings, String name) {
        return settings.has(name) && settings.flag(name);
    }

    private static double real(Values settings, String name, double otherwise) {
        return settings.has(name) ? settings.real(name) : otherwise;
    }
}
