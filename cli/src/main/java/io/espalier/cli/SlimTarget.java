package io.espalier.cli;

import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.slim.OnnxSlimmer;
import io.espalier.onnx.slim.Slimming;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/** How much of a model goes. */
final class SlimTarget {
    @Option(
            names = "--ratio",
            paramLabel = "SHARE",
            description =
                    "The share of the channels of every group that stays, above 0 and at most 1;"
                            + " wide layers keep multiples of 8 or 16.")
    @Nullable Double ratio;

    @Option(
            names = "--speedup",
            paramLabel = "TIMES",
            description =
                    "How many times as fast it is to be on this machine, as measured on the first"
                            + " batch: widths are chosen by what they cost and what they lose.")
    @Nullable Double speedup;

    @Option(
            names = "--macs",
            paramLabel = "SHARE",
            description = "The share of all multiplications that stays, chosen likewise.")
    @Nullable Double macs;

    @Option(
            names = "--params",
            paramLabel = "SHARE",
            description = "The share of all parameters that stays, chosen likewise.")
    @Nullable Double params;

    @Option(
            names = "--bytes",
            paramLabel = "SHARE",
            description = "The share of the file's bytes that stays, chosen likewise.")
    @Nullable Double bytes;

    @Option(
            names = "--max-drop",
            paramLabel = "DROP",
            description =
                    "How far results may be from the model's on the calibration data: 1 less their"
                        + " cosine. Alone it is the target: as fast as may be. Beside another it is"
                        + " a bound: what is further off is not written without --force.")
    @Nullable Double maxDrop;

    @Option(
            names = "--pruned",
            description =
                    "Take out only what pruning has emptied: channels whose weights are zero, or"
                            + " that only zeros read. The results stay the same.")
    boolean pruned;

    /** Refuses what says nothing, too much, or what can't be meant. */
    void check(CommandLine command) {
        List<String> given = given();
        require(
                given.size() == 1,
                "Give one of --speedup, --macs, --params, --bytes, --ratio and --pruned, or"
                        + " --max-drop alone"
                        + (given.isEmpty() ? "." : ", not " + String.join(" and ", given) + "."),
                command);
        requireShare("--ratio", ratio, command);
        requireShare("--macs", macs, command);
        requireShare("--params", params, command);
        requireShare("--bytes", bytes, command);
        require(
                speedup == null || (speedup >= 1 && speedup <= 1000),
                "--speedup is from 1 to 1000, not " + speedup + ".",
                command);
        require(
                maxDrop == null || (maxDrop > 0 && maxDrop < 1),
                "--max-drop is above 0 and below 1, not " + maxDrop + ".",
                command);
        require(
                !pruned || maxDrop == null,
                "--pruned changes no result; --max-drop is for other targets.",
                command);
    }

    /** Whether each group gets a width of its own. */
    boolean isSearched() {
        return ratio == null && !pruned;
    }

    private List<String> given() {
        List<String> given = new ArrayList<>();
        addIf(speedup != null, "--speedup", given);
        addIf(macs != null, "--macs", given);
        addIf(params != null, "--params", given);
        addIf(bytes != null, "--bytes", given);
        addIf(ratio != null, "--ratio", given);
        addIf(pruned, "--pruned", given);
        addIf(given.isEmpty() && maxDrop != null, "--max-drop", given);
        return given;
    }

    /**
     * What was to stay of what is counted.
     *
     * @param of what, in words
     * @param wanted the share that was to stay
     * @param left the share that is left
     */
    record Share(String of, double wanted, double left) {
        /** Groups keep whole channels, and wide ones multiples of 8 or 16. */
        private static final double MET = 0.005;

        boolean isMet() {
            return Math.abs(left - wanted) <= MET * wanted;
        }
    }

    /** What is left of what was to be counted; empty for other targets. */
    Optional<Share> share(Slimmed slimmed, long bytesBefore) {
        ModelCost before = slimmed.before();
        ModelCost after = slimmed.after();
        if (macs != null) {
            return Optional.of(new Share("MACs", macs, (double) after.macs() / before.macs()));
        }
        if (params != null) {
            double left = (double) after.parameters() / before.parameters();
            return Optional.of(new Share("parameters", params, left));
        }
        return Optional.ofNullable(bytes)
                .map(wanted ->
                        new Share(
                                "bytes",
                                wanted,
                                (double) slimmed.model().byteSize() / bytesBefore));
    }

    private static void addIf(boolean given, String name, List<String> names) {
        if (given) {
            names.add(name);
        }
    }

    private static void requireShare(String name, @Nullable Double share, CommandLine command) {
        require(
                share == null || (share > 0 && share <= 1),
                name + " is a share above 0 and at most 1, not " + share + ".",
                command);
    }

    private static void require(boolean holds, String usage, CommandLine command) {
        if (!holds) {
            throw new ParameterException(command, usage);
        }
    }

    /** The slimming that has it for a target; none for what pruning has emptied. */
    Slimming of(OnnxSlimmer slimmer) {
        if (speedup != null) {
            return slimmer.speedup(speedup);
        }
        if (macs != null) {
            return slimmer.macs(macs);
        }
        if (params != null) {
            return slimmer.parameters(params);
        }
        if (bytes != null) {
            return slimmer.bytes(bytes);
        }
        return ratio != null
                ? slimmer.ratio(ratio)
                : slimmer.maxDrop(Objects.requireNonNull(maxDrop));
    }
}
