package io.espalier.conformance;

import io.espalier.train.AdamSettings;
import io.espalier.train.Optimizers;
import io.espalier.train.SgdSettings;

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
                            new SgdSettings(
                                    settings.real("lr"),
                                    real(settings, "momentum", 0),
                                    real(settings, "dampening", 0),
                                    real(settings, "weight_decay", 0),
                                    flag(settings, "nesterov")));
            case "Adam" -> Optimizers.adam(parameters, adam(settings, 0));
            case "AdamW" -> Optimizers.adamW(parameters, adam(settings, 0.01));
            default -> throw Group.unknown("optimizer", type);
        };
    }

    private static AdamSettings adam(Values settings, double weightDecay) {
        List<Double> betas = settings.has("betas") ? settings.reals("betas") : List.of(0.9, 0.999);
        return new AdamSettings(
                settings.real("lr"),
                betas.getFirst(),
                betas.getLast(),
                real(settings, "eps", 1e-8),
                real(settings, "weight_decay", weightDecay),
                flag(settings, "amsgrad"));
    }

    private static boolean flag(Values settings, String name) {
        return settings.has(name) && settings.flag(name);
    }

    private static double real(Values settings, String name, double otherwise) {
        return settings.has(name) ? settings.real(name) : otherwise;
    }
}
