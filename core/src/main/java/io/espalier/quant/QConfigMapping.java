package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.jspecify.annotations.Nullable;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Configurations for the parts of a model: by path, by class, and one for the rest. A path goes
 * before a class, a class before the rest; {@code null} leaves a part in float. As PyTorch's {@code
 * QConfigMapping}.
 *
 * <pre>{@code
 * QConfigMapping.of(QConfig.forBackend("x86"))
 *     .type(ConvTranspose2d.class, null)
 *     .path("head.0", accurate)
 *     .applyTo(model);
 * }</pre>
 */
public final class QConfigMapping {
    private final @Nullable QConfig rest;
    private final Map<Class<? extends Module>, @Nullable QConfig> types;
    private final Map<String, @Nullable QConfig> paths;

    private QConfigMapping(
            @Nullable QConfig rest,
            Map<Class<? extends Module>, @Nullable QConfig> types,
            Map<String, @Nullable QConfig> paths) {
        this.rest = rest;
        this.types = types;
        this.paths = paths;
    }

    /** A mapping with a configuration for all that is not named otherwise. */
    public static QConfigMapping of(@Nullable QConfig rest) {
        return new QConfigMapping(rest, Map.of(), Map.of());
    }

    /** The same with a configuration for all modules of a class, not of its subclasses. */
    public QConfigMapping type(Class<? extends Module> type, @Nullable QConfig qconfig) {
        Map<Class<? extends Module>, @Nullable QConfig> more = new LinkedHashMap<>(types);
        more.put(Needed.of(type, "the class of modules"), qconfig);
        return new QConfigMapping(rest, more, paths);
    }

    /** The same with a configuration for the module at a path and what is below it. */
    public QConfigMapping path(String path, @Nullable QConfig qconfig) {
        Map<String, @Nullable QConfig> more = new LinkedHashMap<>(paths);
        more.put(Needed.of(path, "the path"), qconfig);
        return new QConfigMapping(rest, types, more);
    }

    /**
     * Sets the configurations of a model's modules.
     *
     * @throws EspalierException if there is no module at one of the paths; nothing is set then
     */
    public void applyTo(Module model) {
        paths.keySet().forEach(Needed.of(model, "the model")::module);
        model.qconfig(rest);
        model.namedModules()
                .forEach((path, module) -> {
                    if (paths.containsKey(path)) {
                        module.qconfig(paths.get(path));
                    } else if (types.containsKey(module.getClass()) && !isBelowNamed(path)) {
                        module.qconfig(types.get(module.getClass()));
                    }
                });
    }

    private boolean isBelowNamed(String path) {
        return paths.keySet().stream().anyMatch(named -> path.startsWith(named + "."));
    }
}
