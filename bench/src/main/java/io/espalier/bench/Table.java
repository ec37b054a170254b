package io.espalier.bench;

import io.espalier.bench.models.MobileNetV3;
import io.espalier.bench.models.ResNet18;
import io.espalier.bench.models.Settled;
import io.espalier.tensor.Libtorch;

import java.util.List;
import java.util.Locale;

/**
 * Prints what the library costs beside libtorch's operators, each pair taken in turn in this
 * process. The times are the shortest of several, in milliseconds; the aims are the project's own.
 */
public final class Table {
    /** A name, what it is compared with, and the numbers. */
    private static final String LINE = "%-46s%-13s%9s%10s%8s%9s%n";

    private final int rounds;
    private final long side;
    private final int batch;

    private Table(int rounds, long side, int batch) {
        this.rounds = rounds;
        this.side = side;
        this.batch = batch;
    }

    /** Measures and prints; {@code --quick} only shows that it can, on very small tensors. */
    public static void main(String[] arguments) {
        boolean quick = List.of(arguments).contains("--quick");
        Libtorch.seed(1);
        (quick ? new Table(1, 96, 1) : new Table(11, 4096, 32)).print();
    }

    private void print() {
        System.out.printf(
                Locale.ROOT,
                "%d cores, %d threads of libtorch; best of %d, taken in turn%n%n",
                Runtime.getRuntime().availableProcessors(),
                Libtorch.threads(),
                rounds);
        System.out.printf(LINE, "", "", "Espalier", "libtorch", "ratio", "aim");
        masks();
        channels();
        training();
        observers();
        integers();
        inference();
        linearity();
    }

    private void masks() {
        var one = Masks.of(1, side, side, 0.5);
        row(
                name("L1 mask", one),
                "kthvalue",
                0.125,
                Paired.of(rounds, one::byPrune, one::byKthValue));
        row(name("", one), "topk", 0.125, Paired.of(few(), one::byPrune, one::byTopK));
        memory("  memory beside the mask, a weight", one);

        var many = Masks.of(24, side / 4, side / 4, 0.8);
        row(
                name("global L1 mask, 24 layers", many),
                "kthvalue",
                0.1,
                Paired.of(rounds, many::byPrune, many::byKthValue));
        row(name("", many), "topk", 0.1, Paired.of(few(), many::byPrune, many::byTopK));
        memory("  memory beside the masks, a weight", many);
    }

    /** Sorting takes seconds. */
    private int few() {
        return Math.min(rounds, 3);
    }

    private void channels() {
        for (int dim = 0; dim < 2; dim++) {
            var matrix = new Channels(side, side, dim);
            row(
                    "lnStructured, n = 2, dim = " + dim,
                    "norm, topk",
                    1,
                    Paired.of(rounds, matrix::byPrune, matrix::byLibtorch));
        }
    }

    private void training() {
        var plain = new Training(batch, 4);
        var masked = new Training(batch, 4).masked();
        row(
                "training step, masked",
                "unmasked",
                1.05,
                Paired.of(3 * rounds, masked::step, plain::step));
        row(
                "training step, by Module",
                "bare calls",
                1.05,
                Paired.of(3 * rounds, plain::step, plain::bareStep));
        row(
                "4 training steps, by Trainer",
                "bare calls",
                1.05,
                Paired.of(rounds, plain::epoch, plain::bareEpoch));
    }

    /** Beside libtorch's own, which is told the range and does not look for it. */
    private void observers() {
        var look = new Observers(side / 8, side < 4096 ? side : 12_500);
        row(
                name("histogram observer", look.count()),
                "histc",
                0.5,
                Paired.of(rounds, look::histogram, look::histc));
        row(
                name("min/max per channel", look.count()),
                "amin, amax",
                1.5,
                Paired.of(rounds, look::perChannel, look::aminAmax));
    }

    private void integers() {
        boolean quick = side < 4096;
        var steps = quick ? new ResNetSteps(2, 32) : new ResNetSteps(8, 224);
        row(
                "ResNet-18, calibrating step",
                "forward",
                1.35,
                Paired.of(rounds, steps::calibratingForward, steps::forward));
        row(
                "ResNet-18, step of training for int8",
                "float step",
                1.3,
                Paired.of(rounds, steps::roundedStep, steps::floatStep));
    }

    private void inference() {
        boolean quick = side < 4096;
        long[] shape = {quick ? 2 : 8, 3, quick ? 64 : 224, quick ? 64 : 224};
        var resnet =
                new Inference(Settled.of(new ResNet18(), shape), BareNetworks::resNet18, shape);
        row(
                "ResNet-18, int8 by layers",
                "float",
                0.222,
                Paired.of(rounds, resnet::eager, resnet::plain));
        row(
                "ResNet-18, int8 by graph",
                "float",
                0.2,
                Paired.of(rounds, resnet::graph, resnet::plain));
        row(
                "ResNet-18, int8 by layers",
                "bare kernels",
                1.03,
                Paired.of(3 * rounds, resnet::eager, resnet::bare));
        var mobile =
                new Inference(
                        Settled.of(new MobileNetV3(), shape), BareNetworks::mobileNetV3, shape);
        row(
                "MobileNetV3, int8 by graph",
                "float",
                0.4,
                Paired.of(rounds, mobile::graph, mobile::plain));
        row("", "eager int8", 0.714, Paired.of(rounds, mobile::graph, mobile::eager));
        row(
                "MobileNetV3, int8 by layers",
                "bare kernels",
                1.03,
                Paired.of(3 * rounds, mobile::eager, mobile::bare));
    }

    private static String name(String what, long values) {
        return String.format(Locale.ROOT, "%s, %,d values", what, values);
    }

    private void linearity() {
        System.out.printf("%nTime a weight, from a million to a hundred:%n");
        for (long rows = side / 16; rows <= 6 * side; rows *= rows < side ? 4 : 6) {
            var masks = Masks.of(1, rows, side, 0.5);
            Paired.Times times = Paired.of(few(), masks::byPrune, () -> {}).ours();
            System.out.printf(
                    LINE,
                    name("L1 mask", masks),
                    "",
                    number("%.1f", times.best()),
                    "",
                    "",
                    number("%.2f ns", times.best() * 1e6 / masks.count()));
        }
    }

    private static String name(String what, Masks masks) {
        return what.isEmpty()
                ? ""
                : String.format(Locale.ROOT, "%s, %,d weights", what, masks.count());
    }

    private static void row(String name, String other, double aim, Paired pair) {
        System.out.printf(
                LINE,
                name,
                other,
                number("%.1f", pair.ours().best()),
                number("%.1f", pair.theirs().best()),
                number("%.3f", pair.ratio()),
                "≤ " + aim);
    }

    private static void memory(String name, Masks masks) {
        masks.byPrune();
        PeakMemory.growth(masks::byPrune)
                .ifPresent(grown -> {
                    double each = grown / (double) masks.count() - Float.BYTES;
                    System.out.printf(
                            LINE, name, "", number("%.2f B", Math.max(0, each)), "", "", "≤ 1 B");
                });
    }

    private static String number(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }
}
