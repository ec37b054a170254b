package io.espalier.tensor;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Context;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.QEngine;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/**
 * The libraries of int8 kernels that libtorch can run: the engine that is current when weights are
 * packed is the one that computes with them.
 */
public enum Engine {
    /** Facebook's kernels for x86. */
    FBGEMM(QEngine.FBGEMM),
    /** Chooses between fbgemm and oneDNN by layer; the fastest on x86. */
    X86(QEngine.X86),
    /** Kernels for ARM, which run on x86 too. */
    QNNPACK(QEngine.QNNPACK),
    /** Intel's oneDNN. */
    ONEDNN(QEngine.ONEDNN);

    static {
        Libtorch.start();
    }

    private static final String AVAILABLE = "espalier.engines";

    private final QEngine libtorchs;

    Engine(QEngine libtorchs) {
        this.libtorchs = libtorchs;
    }

    /**
     * The engine of this name: fbgemm, x86, qnnpack or onednn.
     *
     * @throws EspalierException if there is none of this name
     */
    public static Engine of(String name) {
        for (Engine engine : values()) {
            if (engine.toString().equals(name)) {
                return engine;
            }
        }
        throw new EspalierException(
                "No engine '" + name + "'; there are: " + names(Set.of(values())) + ".");
    }

    /**
     * The engines that this platform's libtorch has. The system property {@code espalier.engines},
     * such as {@code qnnpack,onednn}, hides all others: so one machine shows what a program does on
     * another.
     *
     * @throws EspalierException if the property names an engine that does not exist
     */
    public static Set<Engine> available() {
        Set<Engine> found = supported();
        String wanted = System.getProperty(AVAILABLE, "");
        if (!wanted.isEmpty()) {
            found.retainAll(Arrays.stream(wanted.split(",")).map(Engine::of).toList());
        }
        return found;
    }

    private static Set<Engine> supported() {
        try (var scope = new PointerScope()) {
            var found = EnumSet.noneOf(Engine.class);
            var supported = Context.supportedQEngines();
            for (long i = 0; i < supported.size(); i++) {
                QEngine one = supported.get(i).intern();
                for (Engine engine : values()) {
                    if (engine.libtorchs == one) {
                        found.add(engine);
                    }
                }
            }
            return found;
        }
    }

    /**
     * The engine that packs weights in this thread now; what another thread does meanwhile with an
     * engine of its own is not seen.
     *
     * @throws EspalierException if libtorch has none chosen
     */
    public static Engine current() {
        QEngine one =
                EngineLock.PROCESS.whileSettled(() -> torch.globalContext().qEngine().intern());
        for (Engine engine : values()) {
            if (engine.libtorchs == one) {
                return engine;
            }
        }
        throw new EspalierException(
                "libtorch has no quantized engine chosen; available: " + names(available()) + ".");
    }

    /**
     * Returns this engine if it can be used here.
     *
     * @throws EspalierException if this platform's libtorch does not have it
     */
    public Engine required() {
        if (!available().contains(this)) {
            throw new EspalierException(
                    "The engine "
                            + this
                            + " is not in this platform's libtorch; choose one that is: "
                            + names(available())
                            + ".");
        }
        return this;
    }

    /**
     * Makes this the engine that packs weights from now on, in the whole process.
     *
     * @throws EspalierException if this platform's libtorch does not have it
     */
    public void use() {
        required();
        EngineLock.PROCESS.whileChanging(() -> {
            torch.globalContext().setQEngine(libtorchs);
            return this;
        });
    }

    /**
     * Does something, such as packing weights, with this engine as the current one, and puts back
     * the one before; threads that do so take turns. libtorch's engine is one for the whole
     * process, and some kernels look at it when they are called: {@link Operator}s of its quantized
     * kernels called by other threads meanwhile wait, and compute with the engine before.
     *
     * @throws EspalierException if this platform's libtorch does not have it
     */
    public <T> T during(Supplier<T> work) {
        required();
        Needed.of(work, "the work");
        return EngineLock.PROCESS.whileChanging(() -> {
            QEngine before = torch.globalContext().qEngine();
            torch.globalContext().setQEngine(libtorchs);
            try {
                return work.get();
            } finally {
                torch.globalContext().setQEngine(before);
            }
        });
    }

    /** The name as PyTorch writes it. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }

    private static String names(Set<Engine> engines) {
        return Arrays.stream(values())
                .filter(engines::contains)
                .map(Engine::toString)
                .collect(Collectors.joining(", "));
    }
}
